"""A sweep: score some sets of hyperparameters on the training songs and choose one; the holdout has no part in it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadie.errors import TrainingError
from roadie.training.fit import check_seed, fit
from roadie.training.hyperparameters import Hyperparameters
from roadie.training.table import Table, read_table
from roadie.training.trainers import parse_hyperparameters

DIGITS = 6  # of a log loss that a choice looks at: further ones depend on the machine


@dataclass(frozen=True)
class Score:
    """How well a set of hyperparameters does on songs that it was not fitted to, over all folds.

    `log_loss` is the mean over chart entries (lower is better), None when a set could not be scored; `gain` is by how
    much it beats the class prior of the songs fitted to, `folds` the log loss of each fold. `problem` says why a set
    could not be scored.
    """

    hyperparameters: Mapping[str, object]
    log_loss: float | None = None
    gain: float | None = None
    folds: tuple[float, ...] = ()
    problem: str = ""


def score_each(
    examples: Path, common: Mapping[str, object], changes: Sequence[Mapping[str, object]], *, folds: int, seed: int
) -> list[Score]:
    """The score of each set of hyperparameters: `common` with one of `changes`; see `cross_validate`."""
    return [cross_validate(examples, hyperparameters={**common, **each}, folds=folds, seed=seed) for each in changes]


def cross_validate(examples: Path, *, hyperparameters: Mapping[str, object], seed: int, folds: int = 5) -> Score:
    """Fit and score in turn: every song is judged once, by a model that was fitted to the songs of the other folds.

    Songs are dealt to the folds in the order of a seeded hash, so every set of a sweep meets the same folds.
    Entries of a class that the songs fitted to do not have are left out, for every set alike: no model can foresee
    them.

    Raises:
        TrainingError: the hyperparameters are unusable, the folds are too many for the songs, or nothing can be learnt.
        DataError: the table is broken.
    """
    settings = parse_hyperparameters(hyperparameters)
    check_seed(seed)
    table = read_table(examples)
    if not 1 < folds <= table.songs:
        raise TrainingError(
            f"Cross-validation in {folds} folds is not possible with {table.songs:,} songs; a usual number is 5"
        )
    fold_of = deal(table, folds, seed)
    try:
        judged = [_judge(settings, table, fold_of == fold, seed) for fold in range(folds)]
    except TrainingError as error:
        return Score(dict(hyperparameters), problem=str(error))
    losses = np.array([found for found in judged if found[0] > 0])
    if not losses.size or not np.isfinite(losses).all():
        return Score(dict(hyperparameters), problem="its answers are no numbers, the fit has probably diverged")
    entries, own, prior = losses.sum(axis=0)
    return Score(
        dict(hyperparameters),
        log_loss=float(own / entries),
        gain=float((prior - own) / entries),
        folds=tuple(float(loss) for loss in losses[:, 1] / losses[:, 0]),
    )


def choose(scores: Sequence[Score]) -> Score:
    """The best score: the lowest log loss; of equal ones, the first by the JSON of its hyperparameters.

    The order of the scores plays no part.

    Raises:
        TrainingError: there is no score, or none that could be compared.
    """
    usable = [score for score in scores if not score.problem]
    if not usable:
        problems = "; ".join(dict.fromkeys(score.problem for score in scores if score.problem))
        raise TrainingError(f"No set of hyperparameters can be chosen: {problems or 'there is none'}; change the sweep")
    return min(usable, key=lambda score: (round(score.log_loss or 0.0, DIGITS), _canonical(score)))


def to_markdown(scores: Sequence[Score]) -> str:
    """The scores as a page, the best first."""
    best_first = sorted(scores, key=lambda score: (score.log_loss is None, score.log_loss or 0.0, _canonical(score)))
    lines = ["# Sweep", "", "| hyperparameters | log loss | gain over the prior |", "| --- | --- | --- |"]
    for score in best_first:
        settings = ", ".join(f"{name}: {value}" for name, value in sorted(score.hyperparameters.items())) or "defaults"
        found = f"{score.problem or 'not scored'} | "
        if score.log_loss is not None and score.gain is not None:
            found = f"{score.log_loss:.4f} | {score.gain:+.4f}"
        lines.append(f"| {settings} | {found} |")
    return "\n".join(lines) + "\n"


def _canonical(score: Score) -> str:
    return json.dumps(dict(score.hyperparameters), sort_keys=True)


def deal(table: Table, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each example, [examples]: that of its song."""
    songs, where = np.unique(table.groups.astype(str), return_inverse=True)
    hashes = [hashlib.sha256(f"{seed}/fold/{song}".encode()).digest() for song in songs]
    fold_of_song = np.empty(len(songs), dtype=np.int64)
    fold_of_song[sorted(range(len(songs)), key=hashes.__getitem__)] = np.arange(len(songs)) % folds
    return fold_of_song[where]


def _judge(settings: Hyperparameters, table: Table, judged: NDArray[np.bool_], seed: int) -> tuple[float, float, float]:
    """Of one fold: chart entries, and the sums of weight * -log p of the model and of the class prior."""
    learnt = table.where(~judged)
    foreseen = judged & np.isin(table.labels, np.flatnonzero(np.isin(table.classes, learnt.classes)))
    if not foreseen.any():
        return 0.0, 0.0, 0.0
    test = table.where(foreseen)
    labels = np.searchsorted(learnt.classes, test.classes)[test.labels]
    chances = fit(settings, learnt, seed).answer(test.features)[np.arange(len(labels)), labels]
    own = float(test.weights @ -np.log(np.maximum(chances, np.finfo(np.float64).tiny)))
    return float(test.weights.sum()), own, float(test.weights @ -np.log(learnt.prior[labels]))
