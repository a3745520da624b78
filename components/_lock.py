"""Which exact packages a step installs, read from requirements.lock."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from roadie.errors import UsageError

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_VIA = re.compile(r"^ +#(?: via)? +(?P<name>[A-Za-z0-9._-]+)(?: \(.*\))?$")


@dataclass(frozen=True)
class Lock:
    """The pins of a lock file, and who asked for each of them."""

    versions: dict[str, str]
    wanted_by: dict[str, frozenset[str]]

    def pins(self, packages: Iterable[str]) -> list[str]:
        """``name==version`` of `packages` and of all that they need, sorted by name.

        Pinning what the packages need, too, is what makes a step install the same bytes next year.

        Raises:
            UsageError: a package is not in the lock.
        """
        wanted = {_normal(package) for package in packages}
        missing = sorted(wanted - self.versions.keys())
        if missing:
            raise UsageError(
                f"{', '.join(missing)} is not in requirements.lock: add it to pyproject.toml and run `make lock`"
            )
        while True:
            needed = {name for name, parents in self.wanted_by.items() if parents & wanted} - wanted
            if not needed:
                return [f"{name}=={self.versions[name]}" for name in sorted(wanted)]
            wanted |= needed


def parse(text: str) -> Lock:
    """Read the pins and the ``# via`` notes that ``uv pip compile`` and pip-tools write."""
    versions: dict[str, str] = {}
    wanted_by: dict[str, set[str]] = {}
    current = ""
    for line in text.splitlines():
        if pin := _PIN.match(line):
            current = _normal(pin["name"])
            versions[current] = pin["version"]
            wanted_by[current] = set()
        elif current and (via := _VIA.match(line)):
            wanted_by[current].add(_normal(via["name"]))
    return Lock(versions, {name: frozenset(parents) for name, parents in wanted_by.items()})


@functools.cache
def read(path: Path = LOCK) -> Lock:
    """The repository's lock, read once."""
    return parse(path.read_text(encoding="utf-8"))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
