import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie.evaluation import GROUPS_FILE, ROWS_FILE, evaluate, group_digests, row_digests
from roadie.evaluation.leakage import count_seen
from tests.unit.evaluation.models import SHARP, make_model

GATE = {"metric": "log_loss", "resamples": 300}


@pytest.fixture
def run(holdout, sharp, blunt, tmp_path):
    def run(trained_on, champion=blunt, **gate):
        groups, page = tmp_path / GROUPS_FILE, tmp_path / "report.html"
        if trained_on is not None:
            groups.write_bytes(trained_on)
        evaluation = evaluate(sharp, champion, holdout, gate=GATE | gate, report=page, champion_groups=groups)
        return evaluation, page.read_text()

    return run


@pytest.fixture(scope="session")
def songs(holdout):
    return pl.read_parquet(holdout)["spotify_id"].unique().to_list()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.lists(st.integers(0, 50)))
def test_the_digests_are_those_of_a_set_of_texts(texts, numbers):
    digests = group_digests(texts)
    assert digests == group_digests([*reversed(texts), *texts])
    assert len(digests) == 8 * len(set(texts))
    assert group_digests(numbers) == group_digests(map(str, numbers))


@given(st.sets(st.integers(0, 300)), st.sets(st.integers(0, 300)))
def test_as_many_groups_are_seen_as_are_in_both_sets(tmp_path_factory, own, other):
    path = tmp_path_factory.mktemp("groups") / GROUPS_FILE
    path.write_bytes(group_digests(own))
    assert count_seen(other, path) == len(own & other)


def test_the_format_does_not_change_because_deployed_champions_carry_it():
    assert group_digests(["song-1", "song-2"]).hex() == "17cea8c7c4046d41b50d26113a203e82"


def test_a_champion_that_was_trained_on_other_songs_is_said_to_be(run):
    evaluation, page = run(group_digests(f"other{number}" for number in range(1000)))
    assert evaluation.seen == 0
    assert evaluation.metrics["champion_seen_groups"] == 0
    assert "trained on none of these songs" in page
    assert run(group_digests(["other"]), strict=True)[0].decision.promote


def test_a_champion_that_was_trained_on_songs_of_the_holdout_is_reported_with_their_number(run, songs):
    evaluation, page = run(group_digests([*songs[:12], "other"]))
    assert evaluation.seen == 12
    assert evaluation.decision.promote
    assert "trained on 12 of these\nsongs" in page


def test_a_strict_gate_decides_nothing_by_a_holdout_that_the_champion_was_trained_on(run, songs):
    evaluation, _ = run(group_digests(songs[:12]), strict=True)
    assert evaluation.decision.outcome == "inconclusive"
    assert "trained on 12 of this holdout's 300 songs, and the gate is strict" in evaluation.decision.reason


@pytest.mark.parametrize(
    "content", [None, b"seven b", group_digests(["a", "b"])[::-1]], ids=["no file", "too short", "not sorted"]
)
def test_what_is_not_recorded_or_cannot_be_read_is_unknown_and_refused_only_by_a_strict_gate(run, content):
    evaluation, page = run(content)
    assert evaluation.seen is None
    assert evaluation.decision.promote
    assert "is not\nrecorded" in page
    decision = run(content, strict=True)[0].decision
    assert decision.outcome == "inconclusive"
    assert "Nobody recorded" in decision.reason


def test_a_floor_that_is_missed_rejects_all_the_same(run, songs):
    evaluation, _ = run(group_digests(songs), strict=True, floors={"top_1": 0.99})
    assert evaluation.decision.outcome == "reject"


def test_without_a_champion_there_is_nothing_to_be_strict_about(run, songs):
    evaluation, page = run(group_digests(songs), champion=None, strict=True)
    assert evaluation.decision.promote
    assert evaluation.seen is None
    assert "champion was trained" not in page


def test_groups_that_are_numbers_are_known_by_their_digits(holdout, sharp, blunt, tmp_path):
    table = pl.read_parquet(holdout).with_columns(pl.col("spotify_id").str.tail(5).cast(pl.Int32))
    table.write_parquet(tmp_path / "holdout.parquet")
    (tmp_path / GROUPS_FILE).write_bytes(group_digests(table["spotify_id"].head(50)))
    evaluation = evaluate(
        sharp,
        blunt,
        tmp_path / "holdout.parquet",
        gate=GATE,
        report=tmp_path / "report.html",
        champion_groups=tmp_path / GROUPS_FILE,
    )
    assert evaluation.seen == table["spotify_id"].head(50).n_unique()


def test_a_champion_that_cannot_be_scored_is_overridden_by_name_only_where_that_was_chosen(run, tmp_path, songs):
    broken = make_model(tmp_path / "broken.onnx", SHARP, classes=("DE", "NO"))
    evaluation, page = run(group_digests(songs), champion=broken, champion_unusable="floors", strict=True)
    assert evaluation.override == "champion_unusable=floors"
    assert evaluation.decision.promote
    assert "it cannot be scored" in page
    assert run(None)[0].override == ""


@pytest.fixture
def leak(holdout, sharp, blunt, tmp_path):
    """Judge a challenger that was trained on these groups and rows of features."""

    def leak(groups, rows=None, *, champion=blunt, **gate):
        folder, page = tmp_path / "challenger", tmp_path / "report.html"
        folder.mkdir()
        if groups is not None:
            (folder / GROUPS_FILE).write_bytes(group_digests(groups))
        if rows is not None:
            (folder / ROWS_FILE).write_bytes(row_digests(rows))
        evaluation = evaluate(
            sharp, champion, holdout, gate=GATE | gate, report=page, challenger_groups=folder / GROUPS_FILE
        )
        return evaluation, page.read_text()

    return leak


@pytest.mark.parametrize("first", [True, False])
def test_a_challenger_that_was_trained_on_one_song_of_the_holdout_is_rejected(leak, songs, blunt, first):
    evaluation, page = leak([*songs[:1], "other"], champion=None if first else blunt)
    assert evaluation.decision.outcome == "reject"
    assert "The challenger was trained on 1 of this holdout's 300 songs" in evaluation.decision.reason
    assert evaluation.metrics["seen_groups"] == 1
    assert "The challenger was trained on 1 of them" in page


@pytest.mark.parametrize(("share", "outcome"), [(1.0, "reject"), (0.06, "reject"), (0.04, "promote")])
def test_songs_under_other_names_are_known_by_their_features_but_for_a_few_twins(leak, holdout, share, outcome):
    features = pl.read_parquet(holdout).select("tempo", "energy").unique(maintain_order=True)
    evaluation, page = leak(["other"], features.head(round(300 * share)))
    assert evaluation.decision.outcome == outcome
    assert evaluation.metrics["seen_rows"] == round(300 * share)
    assert f"the very features of {round(300 * share)}" in page


def test_of_a_challenger_whose_training_nobody_recorded_only_a_strict_gate_decides_nothing(leak, tmp_path):
    evaluation, page = leak(None)
    assert evaluation.decision.promote
    assert "Whether the challenger was trained on some of them is not recorded" in page
    (tmp_path / "challenger").rmdir()
    decision = leak(None, strict=True)[0].decision
    assert decision.outcome == "inconclusive"
    assert "Nobody recorded whether the challenger" in decision.reason


def test_the_reason_tells_of_a_champion_that_saw_the_holdout(run, songs):
    assert "The champion was trained on 12 of these songs" in run(group_digests(songs[:12]))[0].decision.reason


def test_equal_rows_have_equal_digests_whatever_their_order_and_types():
    rows = pl.DataFrame({"a": [1, 0], "b": [True, False]})
    other = pl.DataFrame({"b": [0.0, 1.0, 1.0], "a": [-0.0, 1.0, 1.0]})
    assert row_digests(rows) == row_digests(other)
    assert len(row_digests(rows)) == 16
