"""Give memory back: bodies of megabytes come and go, and glibc keeps what it was asked for, in an arena a thread."""

import contextlib
import ctypes

# mallopt(3): the parameters' numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def give_back() -> None:
    """Have what is large mapped by itself, so that freeing it returns it; another C library is left as it is."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((_MMAP_THRESHOLD, 256 << 10), (_TRIM_THRESHOLD, 1 << 20), (_ARENA_MAX, 2)):
            mallopt(parameter, value)
