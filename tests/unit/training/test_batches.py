"""Mini-batches of one size, whatever the number of examples leaves over."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie.training.trainers.mlp import Mlp, even_batches


@given(st.integers(20, 200_000), st.integers(1, 2000))
def test_the_last_batch_is_about_as_large_as_the_others(examples: int, most: int) -> None:
    size = even_batches(examples, most)
    assert min(most, examples) / 4 <= size <= min(most, examples)
    assert (examples % size or size) >= (0.8 if size > 20 else 0.5) * size


@pytest.mark.parametrize("examples", [3401, 3402, 40_001, 40_005, 200_010])
def test_a_remainder_of_a_few_examples_is_dealt_out(examples: int) -> None:
    size = even_batches(examples, 200)
    assert (examples % size or size) >= 0.9 * size
    assert size > 150


def test_a_few_examples_over_do_not_cost_the_gain() -> None:
    """One light example in a batch of its own would take the penalty of hundreds, once an epoch."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((801, 4)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.int64)
    weights = np.ones(801)
    weights[-1:] = 0.05
    without, over = (
        Mlp(epochs=20).fit(features[:count], labels[:count], weights[:count], 0).classifier for count in (800, 801)
    )
    losses = [-np.log(each.predict_proba(features)[np.arange(801), labels]).mean() for each in (without, over)]
    assert losses[1] < losses[0] + 0.03
