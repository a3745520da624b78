import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadie.errors import UsageError
from roadie.runs import Pipeline, load_pipeline, parse_arguments


def pipeline_with(**types: str) -> Pipeline:
    parameters: dict[str, Any] = {
        name: {"parameterType": kind, "isOptional": True, "defaultValue": None} for name, kind in types.items()
    }
    spec = {
        "pipelineInfo": {"name": "small"},
        "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": parameters}},
        "components": {},
    }
    return Pipeline(Path("small.yaml"), spec)


TYPED = pipeline_with(
    name="STRING", seed="NUMBER_INTEGER", share="NUMBER_DOUBLE", review="BOOLEAN", gate="STRUCT", sets="LIST"
)


def test_each_value_is_read_by_its_parameter_s_type() -> None:
    pairs = ["name=a=b", "seed=7", "share=.25", "review=True", 'gate={"metric": "top_1"}', "sets=[1, 2]"]
    assert parse_arguments(TYPED, pairs) == {
        "name": "a=b",
        "seed": 7,
        "share": 0.25,
        "review": True,
        "gate": {"metric": "top_1"},
        "sets": [1, 2],
    }


def test_a_structure_comes_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("metric: top_1\nfloors: {gain: 0.1}\n")
    pairs = [f"gate=@{tmp_path / 'gate.yaml'}"]
    assert parse_arguments(TYPED, pairs) == {"gate": {"metric": "top_1", "floors": {"gain": 0.1}}}


def test_an_entry_of_a_structure_is_set_by_its_path_and_the_rest_keeps_its_default() -> None:
    parameters = TYPED.spec["root"]["inputDefinitions"]["parameters"]
    default = {"metric": "top_1", "floors": {"gain": 0.1}}
    spec = {**TYPED.spec, "root": {"dag": {}, "inputDefinitions": {"parameters": {**parameters}}}}
    spec["root"]["inputDefinitions"]["parameters"]["gate"] = {**parameters["gate"], "defaultValue": default}
    given = ["gate.margin=0.5", "gate.floors.top_5=0.2", "gate.metric=gain", "gate.when.never=true"]
    assert parse_arguments(Pipeline(TYPED.path, spec), given) == {
        "gate": {
            "metric": "gain",
            "margin": 0.5,
            "floors": {"gain": 0.1, "top_5": 0.2},
            "when": {"never": True},
        }
    }
    assert default == {"metric": "top_1", "floors": {"gain": 0.1}}


def test_an_empty_value_is_an_empty_string() -> None:
    assert parse_arguments(TYPED, ["name="]) == {"name": ""}


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("seed=many", "the parameter seed takes a whole number, not 'many'"),
        ("share=half", "the parameter share takes a number, not 'half'"),
        ("review=perhaps", "the parameter review takes true or false, not 'perhaps'"),
        ("gate=[]", "the parameter gate takes a JSON object"),
        ("gate={", "the parameter gate takes a JSON object"),
        ("sets={}", "the parameter sets takes a JSON array"),
        ("gate=@nowhere.yaml", "the parameter gate cannot be read from nowhere.yaml"),
        ("gate.a=[", "the parameter gate is not readable as YAML"),
        ("seed.a=1", "no parameter 'seed.a'"),
        ("colour=red", "no parameter 'colour'; it has gate, name, review, seed, sets, share"),
        ("seed", "-p seed is not of the form name=value"),
    ],
)
def test_a_wrong_pair_is_named_with_what_is_wanted(pair: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_arguments(TYPED, [pair])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "pair", ["name=https://me:hunter2@host/charts", 'gate={"fixed": "https://host/x?X-Amz-Signature=hunter2"}']
)
def test_a_password_or_signature_among_the_parameters_is_refused_before_anything_starts(pair: str) -> None:
    with pytest.raises(UsageError, match="holds a password, token or signature") as refused:
        parse_arguments(TYPED, [pair])
    assert "hunter2" not in str(refused.value)


def test_a_required_parameter_that_is_missing_is_named(tmp_path: Path) -> None:
    required = pipeline_with()
    required.spec["root"]["inputDefinitions"]["parameters"]["charts"] = {"parameterType": "STRING"}
    with pytest.raises(UsageError, match="the pipeline small needs charts"):
        parse_arguments(required, [])


def test_a_pipeline_is_found_by_name_from_below_the_checkout(tmp_path: Path) -> None:
    folder = tmp_path / "compiled" / "pipelines"
    folder.mkdir(parents=True)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (folder / "small.yaml").write_text(yaml.safe_dump(dict(TYPED.spec)))
    assert load_pipeline("small", tmp_path / "deep" / "er").name == "small"


def test_an_unknown_pipeline_is_answered_with_those_there_are(tmp_path: Path) -> None:
    folder = tmp_path / "compiled" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text("{}")
    with pytest.raises(UsageError, match="no pipeline named 'large': compiled/pipelines has small"):
        load_pipeline("large", tmp_path)


@pytest.mark.parametrize("text", ["", "a: [", "just text", json.dumps({"a": 1})])
def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match="pipeline.yaml is (no compiled pipeline|not readable)"):
        load_pipeline(str(path))
