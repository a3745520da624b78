import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from roadie.errors import EvaluationError
from roadie.evaluation import Columns, evaluate
from tests.unit.evaluation.models import BLIND, CLASSES, FEATURES, NUDGED, SHARP, make_holdout, make_model

GATE = {"metric": "log_loss", "resamples": 500.0}


@pytest.fixture
def run(holdout, tmp_path):
    def run(challenger, champion, *, gate=GATE, holdout=holdout, **more):
        return evaluate(challenger, champion, holdout, gate=gate, report=tmp_path / "report.html", **more)

    return run


def test_a_better_challenger_is_promoted(run, sharp, blunt):
    decision = run(sharp, blunt).decision
    assert decision.outcome == "promote"
    assert decision.promote
    assert "better than the champion: its log loss is" in decision.reason


def test_a_worse_challenger_is_rejected(run, sharp, blunt):
    decision = run(blunt, sharp).decision
    assert decision.outcome == "reject"
    assert "not better than the champion" in decision.reason


def test_an_equal_challenger_is_inconclusive(run, sharp, tmp_path):
    other = make_model(tmp_path / "other.onnx", NUDGED)
    decision = run(other, sharp).decision
    assert decision.outcome == "inconclusive"
    assert "cannot be told" in decision.reason


def test_the_champion_itself_is_nothing_new(run, sharp, tmp_path):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(sharp.read_bytes())
    evaluation = run(copy, sharp)
    assert evaluation.decision.outcome == "unchanged"
    assert evaluation.champion_sha256 == evaluation.challenger_sha256


def test_without_a_champion_the_floors_decide_and_the_decision_says_so(run, sharp, blind):
    evaluation = run(sharp, None)
    assert evaluation.decision.outcome == "promote"
    assert "There is no champion" in evaluation.decision.reason
    assert evaluation.reference == "class prior"
    assert evaluation.champion_sha256 is None
    assert run(blind, None).decision.outcome == "reject"


def test_with_neither_champion_nor_floors_nothing_is_promoted(run, sharp):
    decision = run(sharp, None, gate={"metric": "log_loss", "floors": {}, "resamples": 200}).decision
    assert decision.outcome == "inconclusive"


def test_a_missed_floor_rejects_even_a_better_challenger(run, sharp, blunt):
    decision = run(sharp, blunt, gate={**GATE, "floors": {"top_1": 0.99, "gain": 0.1}}).decision
    assert decision.outcome == "reject"
    assert "top-1 accuracy is" in decision.reason
    assert "at least 0.99" in decision.reason


def test_a_country_ruined_is_rejected_by_its_slice(run, sharp, blunt, tmp_path):
    ruined = make_model(tmp_path / "ruined.onnx", SHARP, bias=np.array([0, 0, -12]))
    decision = run(ruined, blunt, gate={**GATE, "floors": {}, "slice_floors": {"log_loss": 4}}).decision
    assert decision.outcome == "reject"
    assert "log loss in SE" in decision.reason
    assert run(sharp, blunt, gate={**GATE, "slice_floors": {"log_loss": 4}}).decision.promote


def test_slice_floors_that_no_country_is_large_enough_for_promote_nothing(run, sharp, blunt):
    gate = {**GATE, "slice_floors": {"top_1": 0.0}, "slice_minimum_songs": 301}
    decision = run(sharp, blunt, gate=gate).decision
    assert decision.outcome == "inconclusive"
    assert "top-1 accuracy in any country of 301 songs or more cannot be computed" in decision.reason
    assert "the largest has" in decision.reason and "set slice_minimum_songs to that or less" in decision.reason


def test_a_holdout_of_few_songs_decides_nothing(run, sharp, blunt, tmp_path):
    small = make_holdout(tmp_path / "small.parquet", songs=40)
    decision = run(sharp, blunt, holdout=small).decision
    assert decision.outcome == "inconclusive"
    assert "40 songs" in decision.reason


def test_a_challenger_that_answers_nan_is_rejected_with_figures_all_the_same(run, sharp, tmp_path):
    broken = make_model(tmp_path / "broken.onnx", SHARP, bias=np.array([np.nan, 0, 0]))
    evaluation = run(broken, sharp)
    assert evaluation.decision.outcome == "reject"
    assert "no number for 300" in evaluation.decision.reason
    assert all(np.isfinite(value) for value in evaluation.metrics.values())


def test_a_champion_that_answers_nan_cannot_be_scored(run, sharp, tmp_path):
    broken = make_model(tmp_path / "broken.onnx", SHARP, bias=np.array([np.nan, 0, 0]))
    with pytest.raises(EvaluationError, match="The champion cannot be scored"):
        run(sharp, broken)


def test_a_champion_that_cannot_be_scored_leaves_it_to_the_floors_where_that_was_chosen(run, sharp, blind, tmp_path):
    broken = make_model(tmp_path / "broken.onnx", SHARP, classes=("DE", "NO"))
    chosen = {**GATE, "champion_unusable": "floors"}
    decision = run(sharp, broken, gate=chosen).decision
    assert decision.outcome == "promote"
    assert "The champion cannot be scored" in decision.reason
    assert "floors decide alone" in decision.reason
    assert run(blind, broken, gate=chosen).decision.outcome == "reject"
    with pytest.raises(EvaluationError, match="The challenger cannot be scored"):
        run(broken, sharp, gate=chosen)


def test_a_metric_that_cannot_be_computed_never_promotes(run, sharp, blunt, tmp_path):
    path = tmp_path / "single.parquet"
    pl.read_parquet(make_holdout(path)).with_columns(country=pl.lit("DE")).write_parquet(path)
    for gate in ({"metric": "macro_auc", "floors": {}}, {"floors": {"macro_auc": 0.1}}):
        decision = run(sharp, blunt, holdout=path, gate={**gate, "resamples": 200}).decision
        assert decision.outcome == "inconclusive"
        assert "macro AUC" in decision.reason


def test_non_inferiority_lets_an_equal_challenger_through_and_superiority_does_not(run, sharp, tmp_path):
    other = make_model(tmp_path / "other.onnx", NUDGED)
    lenient = {**GATE, "mode": "non-inferiority", "margin": 0.05}
    decision = run(other, sharp, gate=lenient).decision
    assert decision.outcome == "promote"
    assert "as good as the champion within 0.05" in decision.reason


def test_a_margin_has_to_be_exceeded(run, sharp, blunt):
    gain = run(sharp, blunt).metrics["improvement_log_loss"]
    assert run(sharp, blunt, gate={**GATE, "margin": gain}).decision.outcome == "inconclusive"
    assert run(sharp, blunt, gate={**GATE, "margin": gain * 3}).decision.outcome == "reject"


def test_classes_are_matched_by_name_and_an_unknown_one_has_no_chance(run, sharp, tmp_path):
    order = [2, 0, 1]
    turned = make_model(tmp_path / "turned.onnx", SHARP[:, order], classes=[CLASSES[i] for i in order])
    same = run(turned, sharp)
    assert same.metrics["improvement_log_loss"] == pytest.approx(0, abs=1e-6)
    ignorant = make_model(tmp_path / "ignorant.onnx", SHARP[:, :2], classes=CLASSES[:2])
    found = next(part for part in run(ignorant, sharp).slices if part.label == "SE")
    assert found.challenger["log_loss"] == pytest.approx(15.94, abs=0.01)
    newer = make_model(tmp_path / "newer.onnx", np.pad(SHARP, ((0, 0), (0, 1))), classes=(*CLASSES, "XX"))
    assert run(newer, sharp).classes == 4


def test_a_model_with_one_matrix_input_and_another_table_is_scored_too(run, tmp_path):
    """Nothing in this room knows about charts: another label, group and shape of model do as well."""
    table = tmp_path / "wine.parquet"
    pl.read_parquet(make_holdout(table)).rename(
        {"spotify_id": "bottle", "country": "grape", "weight": "count"}
    ).write_parquet(table)
    models = [
        make_model(tmp_path / f"{index}.onnx", weights, matrix_input=True)
        for index, weights in enumerate((SHARP, BLIND))
    ]
    names = Columns(group="bottle", label="grape", weight="count", unit="bottles")
    decision = run(*models, holdout=table, columns=names).decision
    assert decision.outcome == "promote"
    assert "300 bottles" in decision.reason


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"metadata": {}}, "no JSON array roadie.classes"),
        ({"metadata": {"roadie.classes": 7}}, "no JSON array roadie.classes"),
        ({"classes": ("DE", "NO")}, "names 2 classes"),
        ({"activation": "Sigmoid"}, "probabilities add up to"),
        ({"features": ("energy", "mood")}, "no column mood"),
    ],
)
@pytest.mark.parametrize("role", ["challenger", "champion"])
def test_a_model_that_cannot_be_scored_is_an_error_that_says_why(run, sharp, tmp_path, made, said, role):
    other = make_model(tmp_path / "other.onnx", SHARP, **made)
    with pytest.raises(EvaluationError, match=said) as refusal:
        run(*((other, sharp) if role == "challenger" else (sharp, other)))
    assert f"The {role} cannot be scored" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_file_that_is_no_model_is_an_error_that_names_it(run, sharp, tmp_path, content):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EvaluationError, match="champion cannot be scored: model.onnx"):
        run(sharp, path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table.drop("country"), "no column country"),
        (lambda table: table.clear(), "no rows"),
        (lambda table: table.with_columns(weight=pl.lit(0)), "weight of 0 or less"),
        (lambda table: table.with_columns(country=pl.lit(None, pl.String)), "missing values in country"),
    ],
)
def test_a_broken_holdout_is_refused(run, sharp, holdout, tmp_path, spoil, said):
    path = tmp_path / "spoilt.parquet"
    spoil(pl.read_parquet(holdout)).write_parquet(path)
    with pytest.raises(EvaluationError, match=said):
        run(sharp, None, holdout=path)


def test_the_order_of_rows_does_not_matter(run, sharp, blunt, holdout, tmp_path):
    shuffled = tmp_path / "shuffled.parquet"
    pl.read_parquet(holdout).sample(fraction=1, shuffle=True, seed=1).write_parquet(shuffled)
    assert run(sharp, blunt, holdout=shuffled).metrics == pytest.approx(run(sharp, blunt).metrics)


def test_evaluation_loads_the_plotting_library_only_to_draw():
    program = "import sys, roadie.evaluation; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_features_may_differ_within_a_group(run, sharp, blunt, tmp_path):
    rng = np.random.default_rng(1)
    values = rng.standard_normal((600, 2))
    labels = np.array(CLASSES)[(values @ SHARP).argmax(axis=1)]
    path = tmp_path / "pairs.parquet"
    pl.DataFrame(
        {"spotify_id": [str(i // 2) for i in range(600)], "country": labels, "weight": 1}
        | {name: values[:, i] for i, name in enumerate(FEATURES)}
    ).write_parquet(path)
    evaluation = run(sharp, blunt, holdout=path)
    assert (evaluation.groups, evaluation.entries) == (300, 600)
    assert evaluation.metrics["challenger_top_1"] == 1
