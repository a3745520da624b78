"""The split by song: no song on both sides, and a song keeps its side when more weeks of charts arrive.

See docs/decisions/data-split.md for why a hash and not a shuffle.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from roadie.data.schema import GROUP
from roadie.data.tables import count_rows, read_examples, write_table
from roadie.errors import DataError, UsageError


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
    """Both sides of a split."""

    train: Part
    holdout: Part


def split(examples: Path, train: Path, holdout: Path, *, share: float, seed: int) -> Split:
    """Write about `share` of the songs to `holdout` and the others to `train`.

    Args:
        examples: the examples table.
        train: where to write the side to learn from.
        holdout: where to write the side to judge on.
        share: between 0 and 1, of the songs; the hash makes it approximate.
        seed: another seed gives another split.

    Raises:
        UsageError: the share is not between 0 and 1.
        DataError: the table cannot be read, or one side would be empty.
    """
    if not 0 < share < 1:
        raise UsageError(f"The holdout share is {share}, but must lie between 0 and 1; a usual share is 0.2")
    table = read_examples(examples)
    songs = table[GROUP].unique().sort()
    held = songs.filter(pl.Series([in_holdout(song, share=share, seed=seed) for song in songs], dtype=pl.Boolean))
    if not 0 < len(held) < len(songs):
        side = "holdout" if len(held) == 0 else "training"
        raise DataError(
            f"The {side} side of the split is empty: {len(songs):,} songs at a holdout share of {share}; "
            "give more songs or a share nearer to 0.5"
        )
    is_held = pl.col(GROUP).is_in(held.implode())
    return Split(_write(table.filter(~is_held), train), _write(table.filter(is_held), holdout))


def in_holdout(song: str, *, share: float, seed: int) -> bool:
    """Whether a song is held out: its seeded hash, read as a number in [0, 1), is below the share.

    Whatever else is in the table plays no part, which is what keeps a song on its side for good.
    """
    digest = hashlib.sha256(f"{seed}/{song}".encode()).digest()
    return int.from_bytes(digest[:8]) < int(share * 2**64)


def _write(table: pl.DataFrame, path: Path) -> Part:
    digest = write_table(table, path)
    return Part(path, digest, count_rows(table), table.height, table[GROUP].n_unique())
