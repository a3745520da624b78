"""Which groups a model was trained on, as a set of digests that travels with it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Beside the folder 1 of the model that was trained on these groups, so that it travels in the ModelCar.
GROUPS_FILE = "groups.sha256"
DIGEST = 8  # bytes of each SHA-256: among 1,000,000 groups a false hit in 100,000 others has a chance of 5e-9


def group_digests(ids: Iterable[object]) -> bytes:
    """What GROUPS_FILE holds: the first 8 bytes of the SHA-256 of each distinct id as UTF-8 text, sorted, back to back.

    The same for the same groups, in whatever order and however often they come.
    """
    return b"".join(sorted({hashlib.sha256(str(each).encode()).digest()[:DIGEST] for each in ids}))


def count_seen(ids: Iterable[object], path: Path) -> int | None:
    """How many of these groups are in a file that `group_digests` made; None when there is none, or another one.

    No error, because the file is in the champion's image, where nobody can mend it: what is unknown is reported, and
    a strict gate refuses it.
    """
    try:
        known = _numbers(path.read_bytes())
    except (OSError, ValueError):
        return None
    return len(np.intersect1d(_numbers(group_digests(ids)), known, assume_unique=True))


def _numbers(digests: bytes) -> NDArray[np.uint64]:
    numbers = np.frombuffer(digests, dtype=f">u{DIGEST}").astype(np.uint64)
    if not (numbers[1:] > numbers[:-1]).all():
        raise ValueError("not sorted, or not distinct")
    return numbers
