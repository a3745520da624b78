"""Which groups, and which rows of features, a model was trained on, as sets of digests that travel with it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from roadie.evaluation.holdout import Holdout

# Beside the folder 1 of the model that was trained on these groups, so that it travels in the ModelCar.
GROUPS_FILE = "groups.sha256"
# Beside it: what the groups are called may change, or a feature table may bring them under other names.
ROWS_FILE = "rows.sha256"
TWINS = 0.05  # of the groups; two songs in 424 of the real charts are the same recording twice
DIGEST = 8  # bytes of each SHA-256: among 1,000,000 groups a false hit in 100,000 others has a chance of 5e-9


def group_digests(ids: Iterable[object]) -> bytes:
    """What GROUPS_FILE holds: the first 8 bytes of the SHA-256 of each distinct id as UTF-8 text, sorted, back to back.

    The same for the same groups, in whatever order and however often they come.
    """
    return b"".join(sorted({hashlib.sha256(str(each).encode()).digest()[:DIGEST] for each in ids}))


def row_digests(features: pl.DataFrame) -> bytes:
    """What ROWS_FILE holds: the digests of the distinct rows of features, as `group_digests` makes them of texts."""
    return group_digests(_texts(features.unique()))


@dataclass(frozen=True)
class Seen:
    """How many of the holdout's groups a model was trained on, by their names and by their very features.

    None when nobody knows. No error, because the files may be in the champion's image, where nobody can mend them: what
    is unknown is reported, and a strict gate refuses it.
    """

    groups: int | None = None
    rows: int | None = None

    def leaked(self, of: int) -> int:
        """Of so many groups, how many count as trained on: any by name, by features only more than twins explain."""
        twins = self.rows or 0
        return max(self.groups or 0, twins if twins > TWINS * of else 0)


def look_for(holdout: Holdout, groups_file: Path) -> Seen:
    """What a model's GROUPS_FILE, and the ROWS_FILE beside it, say about a holdout."""
    groups, rows = _read(groups_file), _read(groups_file.with_name(ROWS_FILE))
    named = None if groups is None else int(_known(holdout.ids, groups).sum())
    if rows is None:
        return Seen(named)
    return Seen(named, len(np.unique(holdout.groups[_known(_texts(holdout.inputs), rows)])))


def count_seen(ids: Iterable[object], path: Path) -> int | None:
    """How many of these distinct groups are in a file that `group_digests` made; None when there is no such file."""
    known = _read(path)
    return None if known is None else int(_known(ids, known).sum())


def _known(texts: Iterable[object], digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
    own = b"".join(hashlib.sha256(str(each).encode()).digest()[:DIGEST] for each in texts)
    return np.isin(np.frombuffer(own, dtype=f">u{DIGEST}").astype(np.uint64), digests)


def _texts(features: pl.DataFrame) -> Iterable[str]:
    """A row as text: name=value, by name; equal numbers give equal texts, whatever their type."""
    names = sorted(features.columns)
    columns = [
        (values.cast(pl.Float64).to_numpy() + 0.0).tolist()  # numpy makes 0 of -0 by that
        if values.dtype.is_numeric() or values.dtype == pl.Boolean
        else values.to_list()
        for values in (features[name] for name in names)
    ]
    return (
        ";".join(f"{name}={value!r}" for name, value in zip(names, row, strict=True))
        for row in zip(*columns, strict=True)
    )


def _read(path: Path) -> NDArray[np.uint64] | None:
    try:
        return _numbers(path.read_bytes())
    except (OSError, ValueError):
        return None


def _numbers(digests: bytes) -> NDArray[np.uint64]:
    numbers = np.frombuffer(digests, dtype=f">u{DIGEST}").astype(np.uint64)
    if not (numbers[1:] > numbers[:-1]).all():
        raise ValueError("not sorted, or not distinct")
    return numbers
