from pathlib import Path

import pytest

from components import _reach
from roadie.errors import UsageError

SOURCES = {
    "__init__": '"""Face."""',
    "errors": "class Refused(Exception): ...",
    "shop/__init__": "from pkg.shop.sell import price, sell\nfrom pkg.shop.buy import buy\n__all__ = ['buy']",
    "shop/sell": "from pkg.errors import Refused\n\ndef sell(): ...\ndef price(): ...",
    "shop/buy": "def buy():\n    from pkg.shop import later\n    return later.pay()",
    "shop/later": "def pay(): ...",
    "shop/unused": "1 / 0",
    "hall/__init__": "from pkg.hall.open import enter",
    "hall/open": "from pkg import shop\n\ndef enter():\n    return shop.sell()",
    "tools/__init__": "from pkg.tools.hammer import Hammer\n\nALL = [Hammer]",
    "tools/hammer": "class Hammer: ...",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, source in SOURCES.items():
        path = tmp_path / "pkg" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path / "pkg"


def reached(body: str, package: Path) -> set[str]:
    return {name.removeprefix("pkg").removeprefix(".") for name in _reach.reach(body, package)}


def test_only_the_modules_behind_the_names_in_use_are_reached(package: Path) -> None:
    assert reached("from pkg import shop\nshop.sell()", package) == {"", "errors", "shop", "shop.sell"}


def test_an_import_inside_of_a_function_counts(package: Path) -> None:
    assert reached("from pkg import shop\nshop.buy()", package) == {"", "shop", "shop.buy", "shop.later"}


def test_an_import_for_types_alone_does_not_count(package: Path) -> None:
    body = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.shop.sell import price\nprint(1)"
    assert reached(body, package) == {""}


def test_a_room_is_reached_through_another(package: Path) -> None:
    body = "from pkg import hall\nhall.enter()"
    assert reached(body, package) == {"", "errors", "hall", "hall.open", "shop", "shop.sell"}


def test_names_used_in_different_modules_add_up(package: Path) -> None:
    modules = _reach.reach("from pkg import hall, shop\nhall.enter()\nshop.buy()", package)
    assert {"pkg.shop.sell", "pkg.shop.buy"} <= modules.keys()
    assert modules["pkg.shop"] == "from pkg.shop.sell import sell\nfrom pkg.shop.buy import buy\n"


def test_a_name_taken_from_a_module_is_reached_with_its_package(package: Path) -> None:
    assert reached("from pkg.shop.sell import price", package) == {"", "errors", "shop", "shop.sell"}


def test_an_init_that_does_more_than_offer_names_travels_whole(package: Path) -> None:
    modules = _reach.reach("from pkg import tools\ntools.ALL", package)
    assert modules["pkg.tools"] == SOURCES["tools/__init__"]
    assert "pkg.tools.hammer" in modules


def test_a_body_without_imports_reaches_the_face_alone(package: Path) -> None:
    assert reached("print(1)", package) == {""}


def test_a_module_that_is_not_there_is_named(package: Path) -> None:
    with pytest.raises(UsageError, match=r"imports pkg\.cellar"):
        _reach.reach("from pkg.cellar import wine", package)
