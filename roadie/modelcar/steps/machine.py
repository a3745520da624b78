"""What packages are built for: a Python, an architecture, a C library. Binaries of one do not run on another."""

import functools
import platform
import re
import sys
from dataclasses import dataclass

from roadie.errors import ModelCarError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_TAG = re.compile(r"^Tag: (\S+)$", re.MULTILINE)
# PEP 600, and the older names that it maps.
_MANYLINUX = re.compile(r"^manylinux_(\d+)_(\d+)_")
_OLDER = {"manylinux1_": "2.5", "manylinux2010_": "2.12", "manylinux2014_": "2.17"}


@dataclass(frozen=True)
class Machine:
    """A Python (such as 3.11) on an operating system and architecture, by the OCI image specification's names."""

    system: str
    architecture: str
    python: str

    @property
    def platform(self) -> str:
        """As people write it: linux/amd64."""
        return f"{self.system}/{self.architecture}"


def this_machine() -> Machine:
    """What this interpreter's packages are for."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = platform.machine().lower()
    return Machine(sys.platform, _ARCHITECTURES.get(machine, machine), python)


@functools.cache
def _supported() -> frozenset[str]:
    from packaging.tags import sys_tags

    return frozenset(str(tag) for tag in sys_tags())


def least_libc(name: str, wheel: str) -> str:
    """The C library that a distribution needs, by the tags in its WHEEL file: empty, `musl`, or a version of glibc.

    Raises ModelCarError when none of the tags is for this interpreter.
    """
    from packaging.tags import parse_tag

    built_for = [str(tag) for text in _TAG.findall(wheel) for tag in sorted(parse_tag(text), key=str)]
    tags = [tag for tag in built_for if tag in _supported()]
    if not tags:
        wanted = ", ".join(built_for[:2]) or "something unknown"
        raise ModelCarError(f"{name} was built for {wanted}, not for this Python: install the lock here anew.")
    needs = [_needs(tag.rpartition("-")[2]) for tag in tags]
    return min(needs, key=version_of)


def _needs(system: str) -> str:
    if system == "any":
        return ""
    if system.startswith("musllinux"):
        return "musl"
    if found := _MANYLINUX.match(system):
        return f"{found[1]}.{found[2]}"
    older = (version for prefix, version in _OLDER.items() if system.startswith(prefix))
    # Built on this machine: it needs what is here.
    return next(older, platform.libc_ver()[1] or "musl")


def version_of(libc: str) -> tuple[int, ...]:
    """A version of glibc as numbers that compare; what is none comes before all."""
    return tuple(int(part) for part in libc.split(".") if part.isdigit())
