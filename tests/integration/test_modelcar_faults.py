"""Pushes and pulls through a proxy that cuts, hangs and refuses: mended where that can help, one sentence otherwise."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadie import modelcar
from roadie.errors import ModelCarError, RegistryError
from roadie.modelcar import Access
from tests.servers.clock import HandClock
from tests.servers.process import free_port
from tests.servers.registry import PASSWORD, RegistryServer, serve_registry
from tests.servers.registry_faults import Fault, FaultyRegistry, faulty
from tests.servers.token_service import TokenService

MEBIBYTE = 1 << 20
SIZE = 12 * MEBIBYTE


@pytest.fixture(autouse=True)
def _no_cache_and_no_long_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("roadie.modelcar.retry._FIRST_DELAY", 0.01)


def patient(**more: Any) -> Access:
    """Access by a clock that runs only while something waits."""
    return Access(clock=HandClock(), **more)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "1").mkdir(parents=True)
    (directory / "1/weights.bin").write_bytes(os.urandom(SIZE))
    (directory / "labels.json").write_text("[]")
    return directory


@pytest.fixture
def proxy(registry: RegistryServer) -> Iterator[FaultyRegistry]:
    with faulty(registry.host) as running:
        yield running


def reference(proxy: FaultyRegistry, request: pytest.FixtureRequest) -> str:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{proxy.host}/faults/{name}:v1"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PATCH", "/blobs/uploads/", after=5 * MEBIBYTE),
        Fault("PATCH", "/blobs/uploads/", times=3, after=MEBIBYTE),
        Fault("PATCH", "/blobs/uploads/", lost=True),
        Fault("PATCH", "/blobs/uploads/", status=503),
        Fault("POST", "/blobs/uploads/", times=2, status=502),
        Fault("PUT", "/blobs/uploads/", times=2, status=500),
        Fault("PUT", "/blobs/uploads/", lost=True),
        Fault("HEAD", "/manifests/", status=504),
        Fault("PUT", "/manifests/", times=3, status=503),
        Fault("PUT", "/manifests/v1", lost=True),
        Fault("GET", "/manifests/", lost=True),
    ],
    ids=lambda fault: f"{fault.method} {fault.status or 'cut'}{' lost' if fault.lost else ''} x{fault.times}",
)
def test_a_passing_failure_is_mended(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, tmp_path: Path, fault: Fault
) -> None:
    proxy.faults.append(fault)
    pushed = modelcar.push(model, reference(proxy, request))
    assert fault.times == 0, "the fault was met"
    assert modelcar.verify(pushed.reference).digest == pushed.digest
    assert pushed.digest == modelcar.push(model, f"oci:{tmp_path}/layout:v1").digest


def test_an_upload_goes_on_where_the_registry_says_that_it_broke(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    proxy.faults.append(Fault("PATCH", "/blobs/uploads/", after=9 * MEBIBYTE, kept=True))
    pushed = modelcar.push(model, reference(proxy, request))
    assert proxy.body_bytes("PATCH") < 4 * MEBIBYTE, "only the rest travelled in the second request"
    assert modelcar.verify(pushed.reference).digest == pushed.digest


def test_a_registry_that_asks_for_patience_gets_it(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    proxy.faults.append(Fault("POST", "/blobs/uploads/", status=429, headers={"Retry-After": "1"}))
    started = time.monotonic()
    modelcar.push(model, reference(proxy, request))
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_that_stays_is_one_sentence_and_leaves_no_tag(
    proxy: FaultyRegistry, registry: RegistryServer, model: Path, request: pytest.FixtureRequest, status: int
) -> None:
    fault = Fault("PATCH", "/blobs/uploads/", times=1000, status=status)
    proxy.faults.append(fault)
    name = reference(proxy, request)
    with pytest.raises(RegistryError, match=rf"refused to take models/1/weights.bin \(HTTP {status}\)"):
        modelcar.push(model, name, access=patient())
    assert 1000 - fault.times < 80, "in ten minutes"
    assert modelcar.resolve(name) is None
    repository = name.partition("/")[2].rpartition(":")[0]
    assert registry.uploads(repository) == 0, "the open session was cancelled"


def test_an_answer_that_refuses_for_good_is_not_asked_for_again(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    proxy.faults.append(Fault("PATCH", "/blobs/uploads/", times=10, status=413))
    with pytest.raises(RegistryError, match="limits the size of uploads"):
        modelcar.push(model, reference(proxy, request))
    assert proxy.count("PATCH") == 1


@pytest.mark.parametrize("status", [202, 401, 403])
def test_a_base_layer_that_cannot_be_mounted_is_sent(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, status: int
) -> None:
    base = modelcar.push(model, f"{proxy.host}/faults/mount-source-{status}:v1")
    location = {"Location": "/v2/faults/nowhere/blobs/uploads/session"}
    proxy.faults.append(Fault("POST", "mount=", times=100, status=status, headers=location))
    pushed = modelcar.push(model, reference(proxy, request), base=base.reference)
    assert pushed.uploaded_bytes > SIZE
    assert modelcar.verify(pushed.reference).digest == pushed.digest


def test_pushes_at_the_same_time_do_not_disturb_one_another(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Four to one layout under tags of their own, and four to one tag of a registry."""
    names = [f"oci:{tmp_path}/shared:v{number}" for number in range(4)] + [reference(proxy, request)] * 4
    digests: list[str] = []

    def push(name: str) -> None:
        digests.append(modelcar.push(model, name).digest)

    threads = [threading.Thread(target=push, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 8
    assert {modelcar.verify(name).digest for name in names} == set(digests)
    assert len(set(digests)) == 1


def test_a_server_that_hangs_is_given_up_after_the_timeout(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    proxy.faults.append(Fault("PATCH", "/blobs/uploads/", times=100, hang=True))
    with pytest.raises(RegistryError, match=r"did not go on with PATCH within 0.2 s"):
        modelcar.push(model, reference(proxy, request), access=patient(timeout=0.2, patience=20))


def test_a_download_that_is_cut_goes_on_where_it_broke(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pushed = modelcar.push(model, reference(proxy, request))
    proxy.faults.append(Fault("GET", "/blobs/", times=2, after=4 * MEBIBYTE, response=True))
    modelcar.pull(pushed.reference, tmp_path / "back")
    assert (tmp_path / "back/1/weights.bin").read_bytes() == (model / "1/weights.bin").read_bytes()


def test_a_file_that_changes_under_the_push_fails_it_and_nothing_is_tagged(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    name = reference(proxy, request)

    def change(label: str, done: int, size: int) -> None:
        if label.endswith("weights.bin"):
            with (model / "1/weights.bin").open("ab") as file:
                file.write(b"more")

    with pytest.raises(ModelCarError, match=r"weights.bin was changed while it was being pushed"):
        modelcar.push(model, name, report=change)
    assert modelcar.resolve(name) is None


def test_a_token_that_expires_in_mid_upload_is_renewed(
    registry_token: RegistryServer, token_service: TokenService, model: Path
) -> None:
    # distribution grants 60 s of leeway on a token's end, so the proxy says what the registry would say later
    with faulty(registry_token.host) as proxy:
        challenge = f'Bearer realm="{token_service.realm}",service="{token_service.name}",error="invalid_token"'
        for method in ("PATCH", "PUT"):
            proxy.faults.append(Fault(method, "/blobs/uploads/", status=401, headers={"WWW-Authenticate": challenge}))
        access = Access(username=registry_token.username, password=PASSWORD)
        pushed = modelcar.push(model, f"{proxy.host}/token/expiry:v1", access=access)
        assert modelcar.verify(pushed.reference, access=access).digest == pushed.digest
        assert len(token_service.asked) >= 3


def test_a_registry_that_restarts_during_the_push_is_waited_for(model: Path, tmp_path: Path) -> None:
    port = free_port()
    restarted = threading.Event()

    with serve_registry(tmp_path / "server", port=port) as first:
        name = first.reference("restart/model")
        assert modelcar.resolve(name) is None
        with faulty(first.host) as proxy:
            proxied = name.replace(first.host, proxy.host)
            proxy.faults.append(Fault("PATCH", "/", after=MEBIBYTE))
            modelcar.push(model, proxied)
    with serve_registry(tmp_path / "server", port=port):
        restarted.set()
        assert modelcar.verify(name).digest


PUSH = """
import sys
from roadie import modelcar
print(modelcar.push(sys.argv[1], sys.argv[2], move_tag=True).digest)
"""


@pytest.mark.parametrize("kind", ["registry", "layout"])
def test_a_push_that_is_killed_and_one_that_follows_end_as_one_push_does(
    registry: RegistryServer, model: Path, tmp_path: Path, kind: str
) -> None:
    """SIGKILL at ten moments between the first import and the last request."""
    name = registry.reference(f"killed/{kind}") if kind == "registry" else f"oci:{tmp_path}/killed:v1"
    command = [sys.executable, "-c", PUSH, str(model)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "kill-cache")}
    expected = modelcar.push(model, f"oci:{tmp_path}/whole:v1").digest
    for moment in range(10):
        process = subprocess.Popen([*command, name], env=environment, stdout=subprocess.DEVNULL)
        try:
            process.wait(0.06 + moment * 0.03)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert modelcar.resolve(name) in {None, expected}, "a tag is never seen on anything half-made"
    assert modelcar.push(model, name).digest == expected
    assert modelcar.verify(name).digest == expected
    assert not list(tmp_path.glob("killed/**/.unfinished*"))


def test_ctrl_c_ends_a_push_at_once_and_leaves_nothing(
    proxy: FaultyRegistry, registry: RegistryServer, model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = reference(proxy, request)
    proxy.faults.append(Fault("PATCH", "/blobs/uploads/", hang=True))
    process = subprocess.Popen([sys.executable, "-c", PUSH, str(model), name], stderr=subprocess.PIPE)
    while not proxy.count("POST", "/blobs/uploads/") or not any(fault.times == 0 for fault in proxy.faults):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0, "it did not wait for its time-out"
    assert modelcar.resolve(name) is None
