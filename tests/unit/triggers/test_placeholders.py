"""Names in the values of parameters, and what stands in their place."""

from typing import Any

import pytest

from roadie.triggers.placeholders import fill, is_label, names_in

VALUES = {"model": "jukebox", "labels.region": "{sha}", "sha": "c0ffee"}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("plain", []),
        ("{model}/{sha}", ["model", "sha"]),
        ("{labels.region}", ["labels.region"]),
        ("{{model}} and {{", []),
        ("{{{model}}}", ["model"]),
        ("a } b", ["}"]),
        ("a { b", ["{"]),
        ("{}", [""]),
        ({"deep": [{"er": "{model}"}, 3, None]}, ["model"]),
        (7, []),
    ],
)
def test_names_are_found_wherever_they_are(value: Any, names: list[str]) -> None:
    assert list(names_in(value)) == names


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("plain", "plain"),
        ("{model}-{sha}", "jukebox-c0ffee"),
        ("{pusher}", ""),
        ("{{model}}", "{model}"),
        ("{{{model}}}", "{jukebox}"),
        # What an event says is not looked through for names again.
        ("{labels.region}", "{sha}"),
        ({"a": ["{model}", 1, True, None]}, {"a": ["jukebox", 1, True, None]}),
        (1.5, 1.5),
    ],
)
def test_each_name_is_replaced_once(value: Any, filled: Any) -> None:
    assert fill(value, VALUES) == filled


@pytest.mark.parametrize(
    ("name", "label"),
    [("labels.region", True), ("labels._x9", True), ("labels.", False), ("labels.a-b", False), ("region", False)],
)
def test_a_label_is_named_as_prometheus_names_it(name: str, label: bool) -> None:
    assert is_label(name) == label
