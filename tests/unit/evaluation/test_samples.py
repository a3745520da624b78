"""Questions for whoever serves the model: each in the protocol's own words, with the answer that is right."""

import json

import onnxruntime
import polars as pl
import pytest

from roadie.evaluation import evaluate
from tests.unit.evaluation.models import FEATURES, SHARP, make_model

GATE = {"metric": "log_loss", "resamples": 500}


@pytest.fixture
def samples_of(tmp_path, holdout):
    def samples_of(model, table=holdout):
        evaluate(model, None, table, gate=GATE, report=tmp_path / "r.html", samples=tmp_path / "samples.json")
        return json.loads((tmp_path / "samples.json").read_text())

    return samples_of


def test_each_sample_is_a_request_for_one_case_with_the_model_s_own_answer(samples_of, sharp):
    samples = samples_of(sharp)
    assert len(samples) == 20
    session = onnxruntime.InferenceSession(sharp)
    for sample in samples:
        tensors = sample["request"]["inputs"]
        assert [(each["name"], each["shape"], each["datatype"]) for each in tensors] == [
            (name, [1, 1], "FP32") for name in FEATURES
        ]
        (answer,) = session.run(["probabilities"], {each["name"]: [each["data"]] for each in tensors})
        assert sample["outputs"] == pytest.approx(answer.ravel().tolist())
    assert len({json.dumps(sample) for sample in samples}) == 20


def test_a_model_of_one_matrix_gets_one_tensor(samples_of, tmp_path):
    matrix = make_model(tmp_path / "matrix.onnx", SHARP, matrix_input=True)
    assert [each["shape"] for each in samples_of(matrix)[0]["request"]["inputs"]] == [[1, len(FEATURES)]]


def test_a_case_that_json_cannot_say_is_left_out(samples_of, sharp, holdout, tmp_path):
    table = pl.read_parquet(holdout)
    songs = table["spotify_id"].unique().sort()
    few = table.filter(pl.col("spotify_id").is_in(songs[:40].implode()))
    broken = few.with_columns(
        energy=pl.when(pl.col("spotify_id") == songs[0]).then(float("nan")).otherwise(pl.col("energy"))
    )
    broken.write_parquet(tmp_path / "broken.parquet")
    assert "NaN" not in json.dumps(samples_of(sharp, tmp_path / "broken.parquet"))
