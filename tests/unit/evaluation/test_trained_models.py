"""The gate on models that roadie.training made of the sample charts: the rooms fit together."""

from pathlib import Path

import polars as pl
import pytest

from roadie.data import load_charts, split
from roadie.evaluation import evaluate
from roadie.training import train

GATE = {"metric": "log_loss", "resamples": 1000}


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> Path:
    """Holdout, a champion, and a challenger that learnt from shuffled countries."""
    folder = tmp_path_factory.mktemp("studio")
    load_charts("sample", folder / "examples.parquet")
    split(folder / "examples.parquet", folder / "train.parquet", folder / "holdout.parquet", share=0.2, seed=1)
    table = pl.read_parquet(folder / "train.parquet")
    table.with_columns(pl.col("country").shuffle(seed=1)).write_parquet(folder / "shuffled.parquet")
    for name in ("train", "shuffled"):
        train(folder / f"{name}.parquet", folder / name, hyperparameters={}, seed=0)
    return folder


def judge(studio: Path, challenger: str, champion: str | None):
    return evaluate(
        studio / challenger / "1/model.onnx",
        studio / champion / "1/model.onnx" if champion else None,
        studio / "holdout.parquet",
        gate=GATE,
        report=studio / "report.html",
    )


def test_the_first_model_is_promoted_for_beating_the_class_prior(studio):
    evaluation = judge(studio, "train", None)
    assert evaluation.decision.outcome == "promote"
    assert evaluation.metrics["challenger_gain"] > 0.2
    assert len(evaluation.curve) == 20


@pytest.mark.parametrize("champion", [None, "train"])
def test_a_challenger_trained_on_shuffled_labels_is_rejected(studio, champion):
    assert judge(studio, "shuffled", champion).decision.outcome == "reject"


def test_the_same_model_again_is_nothing_new(studio):
    assert judge(studio, "train", "train").decision.outcome == "unchanged"


def test_a_retraining_with_another_seed_is_no_reason_to_deploy(studio):
    train(studio / "train.parquet", studio / "again", hyperparameters={}, seed=1)
    assert judge(studio, "again", "train").decision.outcome == "inconclusive"
