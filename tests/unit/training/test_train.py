import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest

from roadie.data import FEATURES, SUMMARY, read_summary, summarise
from roadie.errors import TrainingError
from roadie.training import TRAINERS, train

QUICK = {"mlp": {"epochs": 3}, "logistic": {"trainer": "logistic", "iterations": 20}}


def probabilities(model, table):
    session = onnxruntime.InferenceSession(model.read_bytes(), providers=["CPUExecutionProvider"])
    feed = {name: table[name].cast(pl.Float32).to_numpy()[:, None] for name in FEATURES}
    return session.run(["probabilities"], feed)[0]


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_model_takes_raw_features_by_name_and_returns_probabilities(examples, tmp_path, trainer):
    trained = train(examples, tmp_path, hyperparameters=QUICK[trainer], seed=1)
    session = onnxruntime.InferenceSession(trained.model.read_bytes(), providers=["CPUExecutionProvider"])
    assert trained.model == tmp_path / "1" / "model.onnx"
    assert [value.name for value in session.get_inputs()] == list(FEATURES)
    assert {(value.type, *value.shape) for value in session.get_inputs()} == {("tensor(float)", "batch", 1)}
    (output,) = session.get_outputs()
    assert (output.name, output.type, output.shape) == (
        "probabilities",
        "tensor(float)",
        ["batch", len(trained.classes)],
    )
    answers = probabilities(trained.model, pl.read_parquet(examples).head(50))
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert answers.min() > 0


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_it_learns_beats_the_class_prior(examples, tmp_path, trainer):
    table = pl.read_parquet(examples)
    trained = train(examples, tmp_path, hyperparameters=QUICK[trainer], seed=1)
    answers = probabilities(trained.model, table)
    labels = table["country"].replace_strict({name: i for i, name in enumerate(trained.classes)}).to_numpy()
    weights = table["weight"].to_numpy()
    shares = np.bincount(labels, weights) / weights.sum()
    log_loss = np.average(-np.log(answers[np.arange(len(table)), labels]), weights=weights)
    assert log_loss < np.average(-np.log(shares[labels]), weights=weights) - 0.05


def test_the_file_says_what_it_is_made_of_and_nothing_of_when_or_where(examples, tmp_path):
    trained = train(examples, tmp_path, hyperparameters={"epochs": 2}, seed=7)
    model = onnx.load(trained.model)
    found = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert tuple(found["roadie.features"]) == FEATURES
    assert tuple(found["roadie.classes"]) == trained.classes
    assert found["roadie.seed"] == 7
    assert found["roadie.hyperparameters"]["epochs"] == 2
    assert found["roadie.libraries"]["scikit-learn"]
    assert len(found["roadie.curve"]) == 2
    assert (model.producer_name, model.producer_version) == ("roadie", "")
    assert str(tmp_path).encode() not in trained.model.read_bytes()


def test_the_summary_that_drift_is_told_from_lies_beside_the_model(examples, tmp_path):
    train(examples, tmp_path, hyperparameters={"epochs": 1}, seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", SUMMARY]
    assert read_summary(tmp_path / SUMMARY) == summarise(examples)


def test_two_processes_make_the_same_bytes(examples, tmp_path):
    program = (
        "import sys; from pathlib import Path; from roadie.training import train;"
        "print(train(Path(sys.argv[1]), Path(sys.argv[2]), hyperparameters={'epochs': 2.0}, seed=3).sha256)"
    )

    def digest(name, threads):
        done = subprocess.run(
            [sys.executable, "-c", program, examples, tmp_path / name],
            check=True,
            capture_output=True,
            text=True,
            env={"OPENBLAS_NUM_THREADS": threads},
        )
        return done.stdout.strip()

    assert digest("one", "1") == digest("two", "2")
    assert (tmp_path / "one/1/model.onnx").read_bytes() == (tmp_path / "two/1/model.onnx").read_bytes()


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize("countries", [2, 5])
def test_the_graph_has_standard_operators_only_so_that_every_runtime_serves_it(examples, tmp_path, trainer, countries):
    table = pl.read_parquet(examples)
    kept = table["country"].unique().sort().head(countries).implode()
    path = tmp_path / "few.parquet"
    table.filter(pl.col("country").is_in(kept)).write_parquet(path)
    trained = train(path, tmp_path, hyperparameters=QUICK[trainer], seed=1)
    model = onnx.load(trained.model)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert probabilities(trained.model, table).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_another_seed_makes_another_model(examples, tmp_path):
    first = train(examples, tmp_path / "a", hyperparameters={"epochs": 1}, seed=1)
    second = train(examples, tmp_path / "b", hyperparameters={"epochs": 1}, seed=2)
    assert first.sha256 != second.sha256


def test_a_weight_counts_like_as_many_rows(examples, tmp_path):
    """One example of weight 3 and three of weight 1 are the same cross-entropy, so the same optimum."""
    table = pl.read_parquet(examples).head(600).with_columns(weight=pl.col("weight").clip(1, 3))
    table.write_parquet(tmp_path / "weighted.parquet")
    (
        table.select(pl.all().repeat_by("weight"))
        .explode(table.columns)
        .with_columns(weight=pl.lit(1, dtype=pl.Int64))
        .write_parquet(tmp_path / "repeated.parquet")
    )
    # The penalty is per example, so it has to be scaled along with their number.
    settings = {"trainer": "logistic", "iterations": 1000}
    models = [
        train(
            tmp_path / f"{name}.parquet",
            tmp_path / name,
            hyperparameters={**settings, "inverse_l2": penalty},
            seed=0,
        )
        for name, penalty in (("weighted", 0.2 * table["weight"].mean()), ("repeated", 0.2))
    ]
    assert models[0].rows == models[1].rows == models[1].examples
    answers = [probabilities(trained.model, table) for trained in models]
    assert answers[0] == pytest.approx(answers[1], abs=2e-3)


def test_an_odd_song_cannot_make_the_model_sure_of_itself(examples, tmp_path):
    trained = train(examples, tmp_path, hyperparameters=QUICK["mlp"], seed=1)
    odd = pl.read_parquet(examples).head(1).with_columns(loudness=-1e9, tempo=1e9, duration_ms=1e30)
    answers = probabilities(trained.model, odd)
    assert np.isfinite(answers).all()
    assert answers.max() < 0.95


def test_a_feature_that_never_changes_does_no_harm(examples, tmp_path):
    flat = tmp_path / "flat.parquet"
    pl.read_parquet(examples).with_columns(mode=pl.lit(0.1)).write_parquet(flat)
    trained = train(flat, tmp_path, hyperparameters=QUICK["mlp"], seed=1)
    assert np.isfinite(probabilities(trained.model, pl.read_parquet(examples).head(9))).all()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table.with_columns(country=pl.lit("NO")), "single country 'NO'"),
        (lambda table: table.with_columns(tempo=pl.lit(float("nan"))), "values in tempo that are missing"),
        (lambda table: table.with_columns(energy=pl.lit(float("inf"))), "values in energy"),
        (lambda table: table.with_columns(energy=pl.lit(1e300)), "too large for float32"),
        (lambda table: table.head(3), "songs, but training needs 20"),
    ],
)
def test_a_table_that_nothing_can_be_learnt_from_is_refused_in_one_sentence(examples, tmp_path, spoil, said):
    path = tmp_path / "spoilt.parquet"
    spoil(pl.read_parquet(examples)).write_parquet(path)
    with pytest.raises(TrainingError, match=said) as refusal:
        train(path, tmp_path, hyperparameters={}, seed=0)
    assert "spoilt.parquet" in str(refusal.value)
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_cannot_take_is_refused(examples, tmp_path, seed):
    with pytest.raises(TrainingError, match="seed"):
        train(examples, tmp_path, hyperparameters={}, seed=seed)


def test_training_does_not_load_the_plotting_library():
    program = "import sys, roadie.training; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
