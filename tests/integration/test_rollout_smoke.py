"""The smoke test against a model server that speaks the Open Inference Protocol v2."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from roadie import rollout
from roadie.cli import roadie
from roadie.errors import RolloutError, UsageError
from tests.servers.inference import ModelServer, serve_model
from tests.servers.process import free_port
from tests.unit.evaluation.models import BLUNT, FEATURES, NUDGED, SHARP, make_holdout, make_model

ROWS = [{"energy": energy / 7, "tempo": 1 - energy / 5} for energy in range(7)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model.onnx", SHARP)


@pytest.fixture
def server(model: Path) -> Iterator[ModelServer]:
    with serve_model(model) as served:
        yield served


def shown(server: ModelServer, model: Path, **options: Any) -> rollout.Smoke:
    return rollout.smoke(server.url, "jukebox", rollout.make_samples(model, ROWS), **{"timeout": 5.0, **options})


def test_the_same_model_agrees_and_its_latency_is_told(server: ModelServer, model: Path) -> None:
    smoke = shown(server, model)
    assert smoke.ok, smoke.reason
    assert smoke.max_difference < 1e-6
    assert smoke.requests == len(server.asked) == 20
    assert 0 < smoke.latency_ms["p50"] <= smoke.latency_ms["p95"] <= smoke.latency_ms["p99"]
    assert "the served model agrees with the model's file" in smoke.reason


def test_what_is_asked_is_each_feature_as_a_tensor_of_its_own(server: ModelServer, model: Path) -> None:
    shown(server, model, requests=1)
    energy, tempo = server.asked[0]["inputs"]
    assert energy == {"name": "energy", "shape": [1, 1], "datatype": "FP32", "data": [0.0]}
    assert tempo["data"] == [1.0]
    assert server.asked[0]["outputs"] == [{"name": "probabilities"}]


def test_a_model_with_one_matrix_is_asked_by_that(tmp_path: Path) -> None:
    matrix = make_model(tmp_path / "matrix.onnx", SHARP, matrix_input=True)
    with serve_model(matrix) as server:
        assert shown(server, matrix, requests=2).ok
        assert server.asked[0]["inputs"][0]["shape"] == [1, len(FEATURES)]


@pytest.mark.parametrize("weights", [NUDGED, BLUNT], ids=["another", "a blunter"])
def test_another_model_does_not_agree(server: ModelServer, tmp_path: Path, weights: np.ndarray) -> None:
    smoke = shown(server, make_model(tmp_path / "other.onnx", weights))
    assert not smoke.ok
    assert smoke.max_difference > 1e-4
    assert "does not agree" in smoke.reason


def test_a_tolerance_may_be_wider(server: ModelServer, tmp_path: Path) -> None:
    assert shown(server, make_model(tmp_path / "other.onnx", NUDGED), tolerance=0.1).ok


def test_a_model_that_is_still_loading_is_waited_for(server: ModelServer, model: Path) -> None:
    server.not_ready = 2
    assert shown(server, model).ok


def test_a_model_that_does_not_get_ready_is_told(server: ModelServer, model: Path) -> None:
    server.not_ready = 1_000
    smoke = shown(server, model, timeout=0.6)
    assert not smoke.ok
    assert smoke.reason.startswith("the model was not ready within 0.6 s: ")
    assert smoke.reason.endswith('answered 503 Service Unavailable: {"error": "loading"}')
    assert smoke.tried
    assert math.isnan(smoke.max_difference)


def test_another_name_is_not_ready(server: ModelServer, model: Path) -> None:
    smoke = rollout.smoke(server.url, "juke box", rollout.make_samples(model, ROWS), timeout=0.6)
    assert not smoke.ok
    assert "/v2/models/juke%20box/ready answered 404" in smoke.reason
    assert not smoke.tried


def test_a_server_that_is_not_there_is_one_sentence(model: Path) -> None:
    smoke = rollout.smoke(f"http://127.0.0.1:{free_port()}", "jukebox", rollout.make_samples(model, ROWS), timeout=0.6)
    assert not smoke.ok
    assert "does not answer" in smoke.reason
    assert "refused" in smoke.reason
    assert not smoke.tried


def test_an_address_that_does_not_exist_is_not_asked_again_and_again(model: Path) -> None:
    smoke = rollout.smoke("http://jukebox.invalid", "jukebox", rollout.make_samples(model, ROWS), timeout=3_600.0)
    assert not smoke.tried
    assert smoke.reason.startswith("http://jukebox.invalid/v2/models/jukebox/ready does not answer: ")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"<html>", "something else than JSON"),
        (b"[]", "without an output probabilities"),
        (b'{"outputs": [{"name": "scores", "data": [1]}]}', "without an output probabilities"),
        (b'{"outputs": [{"name": "probabilities", "data": [1.0]}]}', "answered 1 numbers for 3"),
        (b'{"outputs": [{"name": "probabilities", "data": [NaN, 0, 1]}]}', "that are no numbers"),
        (b'{"outputs": [{"name": "probabilities", "data": ["a", 0, 1]}]}', "without an output probabilities"),
    ],
)
def test_an_odd_answer_is_no_agreement(server: ModelServer, model: Path, answer: bytes, said: str) -> None:
    server.answer = answer
    smoke = shown(server, model)
    assert not smoke.ok
    assert said in smoke.reason


def test_nested_data_is_read_as_well(server: ModelServer, model: Path) -> None:
    samples = rollout.make_samples(model, ROWS[:1])
    data = [list(samples[0].outputs)]
    server.answer = json.dumps({"outputs": [{"name": "probabilities", "shape": [1, 3], "data": data}]}).encode()
    assert rollout.smoke(server.url, "jukebox", samples, timeout=5.0).ok


def test_an_inference_that_fails_is_told_with_the_servers_words(server: ModelServer, model: Path) -> None:
    server.status, server.answer = 500, b'{"error": "out of memory"}'
    smoke = shown(server, model)
    assert not smoke.ok
    assert 'answered 500 Internal Server Error: {"error": "out of memory"}' in smoke.reason


def test_nothing_to_ask_is_a_usage_error(server: ModelServer) -> None:
    with pytest.raises(UsageError, match="at least one sample"):
        rollout.smoke(server.url, "jukebox", [])
    with pytest.raises(UsageError, match="is no http address"):
        rollout.smoke("file:///etc/passwd", "jukebox", [rollout.Sample({}, [1.0])])


def test_rows_of_another_model_are_named(model: Path) -> None:
    with pytest.raises(RolloutError, match="needs 'tempo', which the rows lack"):
        rollout.make_samples(model, [{"energy": 1.0}])


def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(RolloutError, match=r"model\.onnx does not answer to these rows here"):
        rollout.make_samples(tmp_path / "model.onnx", ROWS)


@pytest.mark.parametrize("content", ["", "{}", "[]", '[{"request": {}}]', '[{"request": {}, "outputs": [NaN]}]'])
def test_a_file_without_samples_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "samples.json").write_text(content)
    with pytest.raises(RolloutError, match=r"samples\.json holds no sample"):
        rollout.read_samples(tmp_path / "samples.json")


def test_the_command_tries_rows_of_the_holdout(server: ModelServer, model: Path, tmp_path: Path) -> None:
    holdout = make_holdout(tmp_path / "holdout.parquet", songs=30)
    where = ["--url", server.url, "--model-name", "jukebox"]
    done = CliRunner().invoke(roadie, ["rollout", "smoke", *where, "--model", str(model), "--rows", str(holdout)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("the served model agrees")
    assert "p99" in done.output


def test_the_command_tries_the_samples_of_the_gate(server: ModelServer, model: Path, tmp_path: Path) -> None:
    samples = rollout.make_samples(model, ROWS)
    (tmp_path / "samples.json").write_text(json.dumps([{"request": s.request, "outputs": s.outputs} for s in samples]))
    where = ["--url", server.url, "--model-name", "jukebox", "--json"]
    done = CliRunner().invoke(roadie, ["rollout", "smoke", *where, "--samples", str(tmp_path / "samples.json")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert (told["ok"], told["requests"], sorted(told["latency_ms"])) == (True, 20, ["p50", "p95", "p99"])


def test_the_command_fails_with_the_reason_and_says_null_for_what_was_not_compared(model: Path, tmp_path: Path) -> None:
    holdout = make_holdout(tmp_path / "holdout.parquet", songs=30)
    where = ["--url", f"http://127.0.0.1:{free_port()}", "--model-name", "jukebox", "--timeout", "0.1", "--json"]
    done = CliRunner().invoke(roadie, ["rollout", "smoke", *where, "--model", str(model), "--rows", str(holdout)])
    assert json.loads(done.output)["max_difference"] is None
    assert "the smoke test of jukebox failed: the model was not ready" in str(done.exception)
