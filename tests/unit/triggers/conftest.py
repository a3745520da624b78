from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.triggers.world import Clock, Make, MemoryEngine, Receiver, targets


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock: Clock) -> MemoryEngine:
    return MemoryEngine(clock)


@pytest.fixture
def make(tmp_path: Path, engine: MemoryEngine, clock: Clock) -> Iterator[Make]:
    """Makes a receiver on the one journal; each further one is as after a restart, or beside the first."""
    made: list[Receiver] = []

    def make_one(**settings: Any) -> Receiver:
        options = {name: settings.pop(name) for name in ("count", "settle") if name in settings}
        made.append(Receiver(tmp_path / "journal.db", engine, clock, targets(**settings), **options))
        return made[-1]

    yield make_one
    for each in made:
        each.journal.close()
