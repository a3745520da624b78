"""The gate on models that roadie.training made of the sample charts: the rooms fit together."""

import json
import re
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


def test_the_gate_of_the_documentation_promotes_on_the_real_charts(real_charts, tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "train-and-gate.md").read_text(encoding="utf-8")
    gate = json.loads(re.search(r"```json\n(\{\n  \"metric\".*?)```", page, re.DOTALL)[1])
    load_charts(str(real_charts / "charts-2023-12"), tmp_path / "examples.parquet")
    sides = tmp_path / "train.parquet", tmp_path / "holdout.parquet"
    split(tmp_path / "examples.parquet", *sides, share=0.2, seed=0)
    models = {"first": {"epochs": 1}, "next": {}}
    for name, changes in models.items():
        train(sides[0], tmp_path / name, hyperparameters=changes, seed=0)
    for champion in (None, tmp_path / "first" / "1"):
        decision = evaluate(
            tmp_path / "next" / "1", champion, sides[1], gate=gate, report=tmp_path / "report.html"
        ).decision
        assert decision.promote, decision.reason
