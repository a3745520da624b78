import numpy as np
import polars as pl
import pytest

from roadie.errors import TrainingError
from roadie.training import Score, choose, cross_validate, score_each, to_markdown
from roadie.training.sweep import deal
from roadie.training.table import read_table

QUICK = {"trainer": "logistic", "iterations": 20}


@pytest.fixture(scope="module")
def score(examples):
    return cross_validate(examples, hyperparameters=QUICK, seed=1, folds=3)


def test_every_song_is_judged_once_by_a_model_that_never_saw_it(examples):
    table = read_table(examples)
    folds = deal(table, 5, seed=1)
    songs = {}
    for song, fold in zip(table.groups, folds, strict=True):
        songs.setdefault(song, set()).add(fold)
    assert all(len(found) == 1 for found in songs.values())
    sizes = np.bincount([found.pop() for found in songs.values()])
    assert sizes.max() - sizes.min() <= 1


def test_a_score_is_the_log_loss_on_songs_that_were_not_fitted_and_its_gain_over_the_prior(score):
    assert score.gain > 0.1
    assert np.mean(score.folds) == pytest.approx(score.log_loss, abs=0.02)
    assert len(score.folds) == 3
    assert score.hyperparameters == QUICK
    assert not score.problem


def test_a_table_with_shuffled_labels_has_no_gain(examples, tmp_path):
    table = pl.read_parquet(examples)
    shuffled = table.with_columns(pl.col("country").shuffle(seed=1)).unique(
        ["spotify_id", "country"], keep="first", maintain_order=True
    )
    shuffled.write_parquet(tmp_path / "shuffled.parquet")
    assert cross_validate(tmp_path / "shuffled.parquet", hyperparameters=QUICK, seed=1, folds=3).gain < 0.01


def test_the_same_seed_gives_the_same_score(examples, score):
    again = cross_validate(examples, hyperparameters=QUICK, seed=1, folds=3)
    assert (again.log_loss, again.gain, again.folds) == (score.log_loss, score.gain, score.folds)
    assert cross_validate(examples, hyperparameters=QUICK, seed=2, folds=3).folds != score.folds


def test_a_country_of_a_single_song_does_not_make_the_loss_infinite(examples, tmp_path):
    table = pl.read_parquet(examples)
    odd = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("ZZ")).otherwise(pl.col("country")).alias("country")
    table.with_columns(odd).write_parquet(tmp_path / "odd.parquet")
    score = cross_validate(tmp_path / "odd.parquet", hyperparameters=QUICK, seed=1, folds=3)
    assert max(score.folds) < 5


def test_a_set_that_diverges_loses_instead_of_failing(examples, score):
    wild = cross_validate(examples, hyperparameters={"learning_rate": 1, "l2": 1e6, "epochs": 3}, seed=1, folds=2)
    assert wild.problem or wild.log_loss > score.log_loss
    assert choose([wild, score]) is score


def test_the_best_score_is_chosen_whatever_the_order(score):
    worse = Score({"epochs": 3}, log_loss=score.log_loss + 0.1, gain=0.0, folds=(0.0,))
    failed = Score({"epochs": 4}, problem="gave up")
    for scores in ([worse, score, failed], [failed, score, worse]):
        assert choose(scores) is score


def test_of_equal_scores_the_first_by_its_json_is_chosen():
    equal = [Score({"epochs": number}, log_loss=2.0 + 1e-9 * number, gain=0.1, folds=(2.0,)) for number in (9, 5, 7)]
    assert choose(equal).hyperparameters == choose(equal[::-1]).hyperparameters == {"epochs": 5}


def test_a_sweep_scores_what_its_sets_change_of_what_they_share(examples, score):
    scores = score_each(examples, QUICK, [{}, {"iterations": 1}], folds=3, seed=1)
    assert [each.hyperparameters for each in scores] == [QUICK, {**QUICK, "iterations": 1}]
    assert scores[0].log_loss == score.log_loss
    assert choose(scores) is scores[0]


@pytest.mark.parametrize("scores", [[], [Score({}, problem="it gave up")]])
def test_when_nothing_could_be_scored_the_reasons_are_given(scores):
    with pytest.raises(TrainingError, match="No set of hyperparameters can be chosen: (there is none|it gave up);"):
        choose(scores)


@pytest.mark.parametrize("folds", [0, 1, -1, 10_000_000])
def test_folds_that_make_no_sense_are_refused(examples, folds):
    with pytest.raises(TrainingError, match="folds is not possible"):
        cross_validate(examples, hyperparameters=QUICK, seed=1, folds=folds)


def test_the_page_has_the_best_first(score):
    page = to_markdown([Score({"l2": 1}, problem="gave up"), Score({}, log_loss=9.0, gain=-5.0, folds=(9.0,)), score])
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    assert [row.split(" |")[0] for row in rows] == ["| iterations: 20, trainer: logistic", "| defaults", "| l2: 1"]
