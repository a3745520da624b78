"""Whether anybody is told a lie when several push different models to one new tag of a real registry at one moment.

`python bench/races.py [ROUNDS]` lets 2 and then 10 processes race, and prints how many were told "pushed" while the tag
names another's model. A short form of it is in tests/integration/test_modelcar_races.py.
"""

import sys
import tempfile
from pathlib import Path

from tests.servers.races import race
from tests.servers.registry import serve_registry


def main() -> None:
    """Race, and print one line for each number of pushers."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as place, serve_registry(Path(place, "registry")) as server:
        for pushers in (2, 10):
            found = race(server, Path(place), pushers, rounds)
            told, lies = sum(len(each.told) for each in found), sum(each.lies for each in found)
            print(f"{pushers} pushers, {rounds} rounds: {told} were told pushed, {lies} of them wrongly", flush=True)


if __name__ == "__main__":
    main()
