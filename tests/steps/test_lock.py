import pytest

from components import _lock
from roadie.errors import UsageError

LOCK = """\
# made by a tool
annotated-types==0.8.0 \\
    --hash=sha256:13b2
    # via pydantic
pydantic==2.14.3 \\
    --hash=sha256:0000
    # via
    #   roadie (pyproject.toml)
    #   other
pydantic-core==2.50.4 ; python_version >= '3.11' \\
    --hash=sha256:1111
    # via pydantic
six==1.17.0 \\
    --hash=sha256:2222
    # via python-dateutil
"""


def test_a_package_brings_the_pins_of_all_that_it_needs() -> None:
    assert _lock.parse(LOCK).pins(["pydantic"]) == [
        "annotated-types==0.8.0",
        "pydantic==2.14.3",
        "pydantic-core==2.50.4",
    ]


def test_names_are_compared_as_package_indexes_do() -> None:
    assert _lock.parse(LOCK).pins(["Annotated_Types"]) == ["annotated-types==0.8.0"]


def test_a_package_that_is_not_locked_is_named() -> None:
    with pytest.raises(UsageError, match="leftpad is not in requirements.lock"):
        _lock.parse(LOCK).pins(["six", "leftpad"])


def test_the_repository_s_lock_pins_every_line_with_a_hash() -> None:
    text = _lock.LOCK.read_text()
    pins = [line for line in text.splitlines() if "==" in line]
    assert len(pins) > 20
    assert all(line.endswith("\\") for line in pins)
    assert _lock.read().versions["kfp"] == "2.17.0"
    assert _lock.read().versions["kfp-kubernetes"] == "2.17.0"
