"""What a tie means."""

import pytest

from roadie.evaluation import parse_gate
from roadie.evaluation.bootstrap import Comparison
from roadie.evaluation.decision import decide


def outcome(improvement, lower, upper, **gate):
    numbers = {"challenger": 0.5, "reference": 0.5, "improvement": improvement, "lower": lower, "upper": upper}
    known = dict.fromkeys(Comparison.__dataclass_fields__, 0.0)
    found = Comparison(**{**known, "metric": "top_1", "title": "top-1 accuracy", **numbers})
    gate = parse_gate({"metric": "top_1", **gate})
    return decide(gate, groups=300, unit="songs", broken=0, checks=(), comparison=found).outcome


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((0.0, 0.0, 0.0), "inconclusive"),
        ((-0.001, -0.01, 0.0), "inconclusive"),
        ((-0.002, -0.01, -0.001), "reject"),
        ((0.002, 0.0, 0.01), "inconclusive"),
        ((0.002, 0.001, 0.01), "promote"),
    ],
)
def test_a_bound_that_is_the_threshold_itself_is_sure_of_nothing(numbers, expected):
    assert outcome(*numbers) == expected
