"""The split by song: no song on both sides, and a song keeps its side when more weeks of charts arrive.

See docs/decisions/data-split.md for why a hash and not a shuffle, and what stratifying would cost. Nothing here knows
about charts: the columns are parameters.
"""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from pydantic import Field

from roadie.data.schema import FIRST_SEEN, GROUP, LABEL
from roadie.data.sources import fetch_table
from roadie.data.tables import count_rows, file_sha256, read_table, write_table
from roadie.errors import DataError, UsageError
from roadie.settings import Settings


class SplitSettings(Settings):
    """How the holdout is set aside, that the models are scored on."""

    share: float = Field(0.2, description="Share of the groups that is held out, between 0 and 1.")
    since: str = Field(
        "",
        description="A date (ISO 8601) that takes the share's place: held out is what was first seen on it or later.",
    )
    fixed: str = Field(
        "",
        description="Where a holdout of an earlier run is (a file, an https address or s3://bucket/key), which takes "
        "the share's place, so that models of different weeks meet on the same ground.",
    )
    seed: int = Field(
        0, description="Seed of the split; keep it over a model's life, or a champion meets what it was trained on."
    )


@dataclass(frozen=True)
class Part:
    """One side of a split; `rows` counts chart entries (the sum of the weights), `examples` the rows."""

    path: Path
    sha256: str
    rows: int
    examples: int
    songs: int


@dataclass(frozen=True)
class Split:
    """Both sides of a split.

    `imbalance` is the root mean square, over the labels, of how far a label's share of groups in the holdout is from
    the holdout's share of all groups: 0.05 is usual with 60 songs a country.
    """

    train: Part
    holdout: Part
    imbalance: float


def split(
    examples: Path,
    train: Path,
    holdout: Path,
    *,
    seed: int,
    share: float = 0.2,
    since: str = "",
    fixed: Path | None = None,
    group: str = GROUP,
    label: str = LABEL,
) -> Split:
    """Write one side of the examples to `holdout` and the other to `train`, with no group on both.

    Args:
        examples: the examples table, or any table with the columns `group` and `label`.
        train: where to write the side to learn from.
        holdout: where to write the side to judge on.
        seed: another seed gives another split.
        share: between 0 and 1, of the groups that are held out; the hash makes it approximate.
        since: a date (ISO 8601) that takes the place of the share: held out are the groups first seen on it or later,
            and what the others did from then on is left out of the training side.
        fixed: a holdout written by an earlier split that takes the place of the share: it is copied byte for byte,
            and its groups are left out of the training side.
        group: the column of what must not stand on both sides.
        label: the column of what is predicted.

    Raises:
        UsageError: the share is not between 0 and 1, `since` is no date, or both `since` and `fixed` are given.
        DataError: a table cannot be read or lacks a column, or one side would be empty.
    """
    table = read_table(examples, (group, label))
    if fixed and since:
        raise UsageError("A fixed holdout and a cut in time were both asked for; give one of them")
    if fixed:
        held, how = _like(table, read_table(fixed, (group, label)), fixed), f"the fixed holdout {fixed.name}"
        learnt = table.filter(~pl.col(group).is_in(held[group].unique().implode()))
    elif since:
        learnt, held = _cut(table, _date(since), group)
        how = f"a cut at {since}"
    else:
        chosen = _chosen(table[group].unique().sort(), share=share, seed=seed)
        is_held = pl.col(group).is_in(chosen.implode())
        learnt, held, how = table.filter(~is_held), table.filter(is_held), f"a holdout share of {share}"
    for side, rows in (("holdout", held), ("training", learnt)):
        if rows.is_empty():
            count = table[group].n_unique()
            raise DataError(f"The {side} side of the split is empty: {count:,} values of {group} at {how}; change it")
    return Split(
        train=_write(learnt, train, group),
        holdout=_copy(fixed, held, holdout, group) if fixed else _write(held, holdout, group),
        imbalance=round(_imbalance(learnt, held, group, label), 4),
    )


def set_aside(
    examples: Path, train: Path, holdout: Path, settings: SplitSettings, *, group: str = GROUP, label: str = LABEL
) -> Split:
    """`split` as `settings` say; a fixed holdout is fetched first.

    Raises:
        DataError, UsageError: as `split`, and as `fetch_table`.
    """
    with tempfile.TemporaryDirectory() as folder:
        fixed = Path(folder) / "fixed.parquet" if settings.fixed else None
        if fixed:
            fetch_table(settings.fixed, fixed)
        return split(
            examples,
            train,
            holdout,
            seed=settings.seed,
            share=settings.share,
            since=settings.since,
            fixed=fixed,
            group=group,
            label=label,
        )


def balanced_seed(
    examples: Path, *, share: float = 0.2, candidates: int = 100, group: str = GROUP, label: str = LABEL
) -> int:
    """The seed below `candidates` whose split is nearest to stratified by label.

    Choose it once and keep it over a model's life: for a given seed a group's side depends on nothing but the group.
    That is rerandomisation (Morgan and Rubin, 2012, Annals of Statistics 40(2)).

    Raises:
        DataError, UsageError: as `split`.
    """
    table = read_table(examples, (group, label))
    groups = table[group].unique().sort()

    def imbalance(seed: int) -> float:
        is_held = pl.col(group).is_in(_chosen(groups, share=share, seed=seed).implode())
        return _imbalance(table.filter(~is_held), table.filter(is_held), group, label)

    return min(range(candidates), key=imbalance)


def in_holdout(name: str, *, share: float, seed: int) -> bool:
    """Whether a group is held out: its seeded hash, read as a number in [0, 1), is below the share.

    Whatever else is in the table plays no part, which is what keeps a song on its side for good.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8]) < int(share * 2**64)


def _chosen(groups: pl.Series, *, share: float, seed: int) -> pl.Series:
    if not 0 < share < 1:
        raise UsageError(f"The holdout share is {share}, but must lie between 0 and 1; a usual share is 0.2")
    return groups.filter(
        pl.Series([in_holdout(str(name), share=share, seed=seed) for name in groups], dtype=pl.Boolean)
    )


def _cut(table: pl.DataFrame, day: date, group: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    if FIRST_SEEN not in table.columns or table[FIRST_SEEN].has_nulls():
        raise DataError(
            f"The examples cannot be cut at {day}, because they do not all say when they were {FIRST_SEEN}: give "
            "rankings with a snapshot_date in every row, or a holdout share"
        )
    debut = pl.col(FIRST_SEEN).min().over(group)
    return table.filter(pl.col(FIRST_SEEN) < day), table.filter(debut >= day)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no date to cut the charts at; write it like 2024-01-31") from error


def _like(table: pl.DataFrame, held: pl.DataFrame, path: Path) -> pl.DataFrame:
    wanted = table.drop(FIRST_SEEN, strict=False).schema
    if held.schema != wanted:
        differing = sorted({name for name, _ in set(held.schema.items()) ^ set(wanted.items())}) or ["their order"]
        raise DataError(
            f"The fixed holdout {path.name} has other columns than the examples ({', '.join(differing)}); "
            "give one that was split from such a table"
        )
    return held


def _imbalance(learnt: pl.DataFrame, held: pl.DataFrame, group: str, label: str) -> float:
    sides = ((learnt, False), (held, True))
    pairs = pl.concat([side.select(group, label, pl.lit(is_held).alias("held")) for side, is_held in sides])
    overall = pairs.unique(group).select(pl.col("held").mean()).item()
    by_label = pairs.unique([group, label]).group_by(label).agg(pl.col("held").mean())
    return float(by_label.select((pl.col("held") - overall).pow(2).mean().sqrt()).item())


def _write(table: pl.DataFrame, path: Path, group: str) -> Part:
    table = table.drop(FIRST_SEEN, strict=False)  # it is no feature
    return Part(path, write_table(table, path), count_rows(table), table.height, table[group].n_unique())


def _copy(source: Path, table: pl.DataFrame, path: Path, group: str) -> Part:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    return Part(path, file_sha256(path), count_rows(table), table.height, table[group].n_unique())
