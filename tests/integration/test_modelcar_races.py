"""Several push different models to one new tag at one moment: none is told "pushed" while it names another's."""

from pathlib import Path

import pytest

from tests.servers.races import race
from tests.servers.registry import RegistryServer


@pytest.mark.parametrize(("pushers", "rounds"), [(2, 4), (10, 2)])
def test_whoever_loses_a_race_for_a_tag_is_told_so(
    registry: RegistryServer, tmp_path: Path, pushers: int, rounds: int
) -> None:
    """The same 200 times over is bench/races.py."""
    for each in race(registry, tmp_path, pushers, rounds):
        assert each.told == [each.named]
        assert all("by somebody else" in said or "exists already" in said for said in each.sentences)
