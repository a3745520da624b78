"""All waits of an operation share one budget, and end with it."""

from hypothesis import given
from hypothesis import strategies as st

from roadie.gitops.patience import Clock, Patience


@given(st.floats(0, 1e9), st.floats(0, 1000))
def test_patience_ends_whatever_the_clock_shows(start: float, budget: float) -> None:
    seconds = [start]
    clock = Clock(lambda: seconds[0], lambda wait: seconds.append(seconds.pop() + wait))
    patience = Patience(budget, clock)
    waits = 0
    while patience.wait(waits):
        waits += 1
        assert waits < 100
    assert seconds[0] <= start + budget + 1
    assert not patience.take_turns(0, 5.0)
