import re

import numpy as np
import polars as pl
import pytest

from roadie.errors import EvaluationError
from roadie.evaluation import evaluate
from tests.unit.evaluation.models import CLASSES, SHARP, make_holdout, make_model

GATE = {"metric": "log_loss", "resamples": 300}


@pytest.fixture
def page(holdout, sharp, blunt, tmp_path):
    path = tmp_path / "report.html"
    evaluate(sharp, blunt, holdout, gate=GATE, report=path, facts={"data": "charts & more"})
    return path.read_text()


def test_the_decision_and_its_reason_stand_on_top(page):
    heading = page.index("<h1>promote</h1>")
    assert heading < page.index("The challenger is better than the champion") < page.index("<table>")


def test_the_report_needs_no_network_and_no_script(page):
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    assert "<script" not in page
    assert "@import" not in page
    assert "url(#" in page or "url(" not in page
    assert set(re.findall(r"https?://[^\"]+", page)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


def test_the_report_follows_the_reader_s_choice_of_light_or_dark(page):
    assert "prefers-color-scheme: dark" in page
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "currentColor" in drawings
    assert not re.findall(r"(?:fill|stroke): #(?!none)", drawings)


def test_the_same_evaluation_gives_the_same_bytes(holdout, sharp, blunt, tmp_path):
    pages = []
    for name in ("one", "two"):
        evaluate(sharp, blunt, holdout, gate=GATE, report=tmp_path / name / "report.html")
        pages.append((tmp_path / name / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_no_id_is_used_twice(page):
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_facts_and_all_digests_stand_at_the_end(page):
    end = page[page.index("What this rests on") :]
    assert "charts &amp; more" in end
    assert len(re.findall(r"sha256</dt><dd>[0-9a-f]{64}", end)) == 3


def test_whatever_labels_and_facts_hold_is_text(tmp_path):
    evil = ("<script>alert(1)</script>", "$\\frac{$", "\"'&")
    table = tmp_path / "holdout.parquet"
    make_holdout(table, classes=evil)
    model = make_model(tmp_path / "model.onnx", SHARP, classes=evil)
    report = tmp_path / "report.html"
    gate = {**GATE, "slice_floors": {"top_1": 1.0}}
    evaluate(model, None, table, gate=gate, report=report, facts={"<b>x": "<img src=y>"})
    page = report.read_text()
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "$\\frac{$" in page


def test_the_training_curve_is_drawn_when_the_model_carries_one(page, holdout, tmp_path):
    assert "training loss" not in page
    known = {"roadie.classes": list(CLASSES), "roadie.curve": [3.0, 2.0, 1.5]}
    model = make_model(tmp_path / "model.onnx", SHARP, metadata=known)
    report = tmp_path / "curve.html"
    evaluate(model, None, holdout, gate=GATE, report=report)
    assert "training loss" in report.read_text()


def test_what_cannot_be_computed_is_shown_as_such(holdout, sharp, tmp_path):
    table = tmp_path / "single.parquet"
    pl.read_parquet(holdout).with_columns(country=pl.lit("DE")).write_parquet(table)
    report = tmp_path / "report.html"
    evaluation = evaluate(sharp, None, table, gate={**GATE, "floors": {"macro_auc": 0.5}}, report=report)
    assert evaluation.decision.outcome == "inconclusive"
    assert "n/a" in report.read_text()
    assert not any(np.isnan(value) for value in evaluation.metrics.values())


DRIFT = {
    "summary": "One of two features has drifted & 32 countries are gone.",
    "features": [
        {"name": "energy", "mean_shift": -0.31, "ks": 0.2, "psi": 0.04, "alarm": True},
        {"name": "tempo<", "mean_shift": 0.02, "ks": None, "psi": 0, "alarm": False},
    ],
    "labels": {"psi": 3.14159, "gone": ["AR", "AT"], "shares": {"DE": 0.5, "NO": None}, "new": []},
}


def test_drift_is_shown_with_its_figures_and_its_alarms(holdout, sharp, tmp_path):
    report = tmp_path / "report.html"
    evaluate(sharp, None, holdout, gate=GATE, report=report, drift=DRIFT)
    page = report.read_text()
    part = page[page.index("<h2>Drift") : page.index("What this rests on")]
    assert "drifted &amp; 32 countries" in part
    energy, tempo = part.index("<td>energy</td><td>-0.31</td><td>0.200</td>"), part.index("<td>tempo&lt;</td>")
    assert "drift</td>" in part[energy:tempo]
    assert "drift</td>" not in part[tempo:]
    assert "n/a" in part[tempo:]
    assert re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", part) == [
        ("psi", "3.142"),
        ("gone", "AR, AT"),
        ("shares", "DE 0.5, NO n/a"),
        ("new", "none"),
    ]


def test_where_no_drift_was_measured_nothing_is_said_of_it(page):
    assert "<h2>Drift" not in page


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({"features": []}, "correct summary: Field required"),
        ({"summary": "", "features": [{"mean_shift": 1}]}, "correct features.0.name: Field required"),
        ({"summary": "", "labels": {"psi": object()}}, "correct labels.psi: "),
    ],
)
def test_drift_of_another_shape_is_refused_before_anything_is_scored(holdout, sharp, tmp_path, drift, said):
    with pytest.raises(EvaluationError, match=said):
        evaluate(sharp, None, holdout, gate=GATE, report=tmp_path / "report.html", drift=drift)
