"""Pushes and pulls through a proxy that cuts, hangs and refuses: mended where that can help, one sentence otherwise."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
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


def test_a_registry_that_is_away_for_five_minutes_costs_waiting_and_not_the_push(model: Path, tmp_path: Path) -> None:
    """Stopped in the middle of a layer, and back on the same port when five minutes are over."""
    port = free_port()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        server = first.enter_context(serve_registry(tmp_path / "server", port=port))
        clock = HandClock({300: lambda: second.enter_context(serve_registry(tmp_path / "server", port=port)) and None})
        proxy = first.enter_context(faulty(server.host))
        stopping = threading.Lock()

        def stop(label: str, done: int, size: int) -> None:
            if done > MEBIBYTE and stopping.acquire(blocking=False):
                first.close()

        name = server.reference("away/model")
        pushed = modelcar.push(model, name, access=Access(clock=clock), report=stop)
        assert not stopping.acquire(blocking=False), "it was stopped"
        assert proxy is not None
        assert 300 <= clock.seconds < 600
        assert modelcar.verify(name).digest == pushed.digest


def test_a_registry_that_was_away_from_the_start_is_waited_for_where_it_is_known(model: Path, tmp_path: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as later:
        clock = HandClock({300: lambda: later.enter_context(serve_registry(tmp_path / "server", port=port)) and None})
        access = Access(clock=clock, known=True)
        published = modelcar.publish(model, f"127.0.0.1:{port}/away/model", version="1.0", access=access)
        assert modelcar.verify(published.reference).digest == published.digest
        assert clock.seconds >= 300
    clock = HandClock()
    with pytest.raises(RegistryError, match="refuses connections"):
        modelcar.push(model, f"127.0.0.1:{port}/away/model:v1", access=Access(clock=clock))
    assert clock.seconds == 0, "a typing error is told at once"


@pytest.mark.parametrize("status", [408, 429, 503])
@pytest.mark.parametrize(
    "asked", ["HEAD /manifests/", "POST /blobs/uploads/", "PATCH /blobs/uploads/", "PUT /manifests/v1"]
)
def test_what_limits_or_is_busy_is_waited_out(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, status: int, asked: str
) -> None:
    method, _, path = asked.partition(" ")
    proxy.faults.append(Fault(method, path, times=20, status=status, headers={"Retry-After": "9"}))
    access = patient()
    pushed = modelcar.push(model, reference(proxy, request), access=access)
    assert modelcar.verify(pushed.reference).digest == pushed.digest
    assert isinstance(access.clock, HandClock)
    assert access.clock.seconds >= 180


def test_a_registry_that_asks_for_an_hour_is_not_waited_for_and_quoted(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    proxy.faults.append(Fault("POST", "/blobs/uploads/", times=100, status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(RegistryError, match=r"HTTP 429.*asks to be left alone for 3600 s"):
        modelcar.push(model, reference(proxy, request))


@pytest.mark.parametrize(
    "said", ["0-99999999", f"0-{4 * MEBIBYTE - 1}"], ids=["more than was sent", "more than it has"]
)
def test_a_registry_that_claims_to_have_more_than_it_has_is_sent_it_all(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, said: str
) -> None:
    proxy.faults.append(Fault("PATCH", "/blobs/uploads/", after=9 * MEBIBYTE))
    proxy.faults.append(Fault("GET", "/blobs/uploads/", status=204, headers={"Range": said}))
    pushed = modelcar.push(model, reference(proxy, request))
    assert modelcar.verify(pushed.reference).digest == pushed.digest


def test_a_registry_that_works_long_on_what_it_got_is_not_sent_it_again(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    proxy.faults.append(Fault("PATCH", "/blobs/uploads/", late=1.5))
    modelcar.push(model, reference(proxy, request), access=Access(timeout=0.5))
    assert proxy.count("PATCH") == 1


@pytest.mark.parametrize("times", [3, 100])
def test_a_token_service_that_is_away_is_waited_for_and_not_called_a_wrong_password(
    registry_token: RegistryServer, token_service: TokenService, model: Path, times: int
) -> None:
    token_service.failing = (503, times)
    access = patient(username=registry_token.username, password=PASSWORD)
    name = registry_token.reference(f"token/away-{times}")
    if times < 10:
        assert modelcar.verify(modelcar.push(model, name, access=access).reference, access=access)
    else:
        with pytest.raises(RegistryError, match=r"gave no token \(HTTP 503: come back later\): it is busy or broken"):
            modelcar.push(model, name, access=access)


def test_a_tag_that_moves_during_the_push_is_left_to_who_moved_it(
    proxy: FaultyRegistry, registry: RegistryServer, model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = reference(proxy, request)
    direct = name.replace(proxy.host, registry.host)
    theirs: list[str] = []
    proxy.faults.append(Fault("PATCH", "/blobs/uploads/", then=lambda: theirs.append(push_other(tmp_path, direct))))
    with pytest.raises(ModelCarError, match=r"was set to sha256:\w+ by somebody else during this push: push under"):
        modelcar.push(model, name)
    assert [modelcar.resolve(name)] == theirs


def test_who_is_overwritten_by_a_push_that_looked_too_early_is_told_so(
    proxy: FaultyRegistry, registry: RegistryServer, model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The other one looked at the tag before ours was written, and writes after that."""
    name = reference(proxy, request)
    direct = name.replace(proxy.host, registry.host)
    theirs: list[str] = []
    late = Fault("PUT", "/manifests/v1", then=lambda: theirs.append(push_other(tmp_path, direct, move_tag=True)))
    proxy.faults.append(late)
    with pytest.raises(ModelCarError, match=r"was set to sha256:\w+ by somebody else"):
        modelcar.push(model, name)
    assert [modelcar.resolve(name)] == theirs


def push_other(folder: Path, name: str, *, move_tag: bool = False) -> str:
    """Another model under the same tag; its digest."""
    other = folder / "other"
    other.mkdir(exist_ok=True)
    (other / "weights.bin").write_bytes(b"of somebody else")
    return modelcar.push(other, name, move_tag=move_tag).digest


def test_other_bytes_than_the_digest_says_are_refused(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pushed = modelcar.push(model, reference(proxy, request))
    other = b'{"schemaVersion":2,"layers":[],"config":{}}'
    headers = {"Docker-Content-Digest": pushed.digest, "Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    proxy.faults.append(Fault("GET", pushed.digest, times=9, status=200, headers=headers, body=other))
    for read in (modelcar.inspect, modelcar.verify, lambda name: modelcar.pull(name, tmp_path / "back")):
        with pytest.raises(RegistryError, match=rf"sent other bytes than {pushed.digest}: the registry is damaged"):
            read(pushed.reference)


def test_a_registry_that_understood_another_manifest_is_not_to_be_used(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    name, other = reference(proxy, request), f"sha256:{'0' * 64}"
    proxy.faults.append(Fault("PUT", "/manifests/", status=201, headers={"Docker-Content-Digest": other}))
    with pytest.raises(RegistryError, match=rf"stored {other} instead of sha256:\w+: do not use it"):
        modelcar.push(model, name)
    assert modelcar.resolve(name) is None


def test_a_manifest_that_the_registry_says_it_took_is_read_back(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    """It answers 201 and forgets: once, and the second PUT mends it; always, and the push fails without a tag."""
    name = reference(proxy, request)
    proxy.faults.append(Fault("PUT", "/manifests/sha256", status=201))
    pushed = modelcar.push(model, name, access=patient())
    assert modelcar.verify(name).digest == pushed.digest
    (model / "labels.json").write_text('["other"]')
    proxy.faults.append(Fault("PUT", "/manifests/", times=100, status=201))
    with pytest.raises(RegistryError, match=r"took sha256:\w+ and does not give it back: its storage is damaged"):
        modelcar.push(model, name.replace(":v1", ":v2"), access=patient())
    assert modelcar.resolve(name.replace(":v1", ":v2")) is None


@pytest.mark.parametrize("which", ["manifests/sha256", "manifests/v1"], ids=["platform", "tag"])
def test_a_registry_that_was_full_for_a_moment_never_leaves_a_push_that_cannot_be_read(
    tmp_path: Path, which: str
) -> None:
    """Its disk, a small tmpfs, is full when the manifest comes, and has room when it is sent again."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], check=False).returncode:
        pytest.skip("a small file system can be mounted by root alone")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.bin").write_bytes(b"weights")
    filler = small / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    try:
        with serve_registry(small) as server, faulty(server.host) as proxy:
            fault = Fault("PUT", which, before=fill, then=filler.unlink)
            proxy.faults.append(fault)
            name = f"{proxy.host}/full/model:v1"
            access = patient()
            for _ in range(3):
                try:
                    pushed = modelcar.push(tmp_path / "model", name, access=access)
                except RegistryError as error:
                    assert "its storage is damaged" in str(error)
                    assert modelcar.resolve(name) is None, "no tag is left on what cannot be read"
                else:
                    assert modelcar.verify(pushed.reference).digest == pushed.digest
            assert fault.times == 0, "the disk was full"
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@pytest.mark.parametrize("status", [401, 403])
def test_a_repository_that_is_hidden_until_something_is_in_it_is_not_there_yet(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, status: int
) -> None:
    name = reference(proxy, request)
    proxy.faults.append(Fault("GET", "/manifests/v1", status=status))
    proxy.faults.append(Fault("HEAD", "/blobs/sha256", times=3, status=status))
    pushed = modelcar.push(model, name)
    assert modelcar.verify(name).digest == pushed.digest


def test_a_tag_that_stays_hidden_is_never_overwritten_unseen(
    proxy: FaultyRegistry, model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = reference(proxy, request)
    theirs = push_other(tmp_path, name)
    for method in ("GET", "HEAD"):
        proxy.faults.append(Fault(method, "/manifests/v1", times=9, status=403))
    with pytest.raises(RegistryError, match=r"refused to HEAD /manifests/v1 \(HTTP 403\)"):
        modelcar.push(model, name)
    proxy.faults.clear()
    assert modelcar.resolve(name) == theirs


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            Fault(
                "PUT",
                "/manifests/v1",
                status=400,
                body=b'{"errors":[{"code":"TAG_INVALID","message":"The image tag '
                b"'v1' already exists in the 'x' repository and cannot be overwritten because it is immutable.\"}]}",
            ),
            r"HTTP 400 TAG_INVALID: The image tag 'v1' already exists .* is immutable\.\): push under a new tag\.$",
        ),
        (
            Fault(
                "POST",
                "/blobs/uploads/",
                status=403,
                body=b'{"errors":[{"code":"DENIED","message":"adding 12 MiB '
                b'of storage resource, which when updated to current usage of 5 GiB will exceed the quota"}]}',
            ),
            r"DENIED: adding 12 MiB .* will exceed the quota\): ask who runs the registry",
        ),
        (
            Fault(
                "POST",
                "/blobs/uploads/",
                status=404,
                body=b'{"errors":[{"code":"NAME_UNKNOWN","message":"The '
                b"repository with name 'x' does not exist in the registry with id '1'\"}]}",
            ),
            r"does not exist in the registry with id '1'\): check the repository's name, or make the repository first",
        ),
        (
            Fault("PATCH", "/blobs/uploads/", status=403, body=b"<html><title>RBAC</title><p>access denied</p></html>"),
            r"HTTP 403: RBAC access denied\): that is a page and no registry's answer",
        ),
        (
            Fault("PUT", "/manifests/v1", status=409, body=b'{"message": "artifact v1 is immutable"}'),
            r"HTTP 409: artifact v1 is immutable\): ask who runs the registry",
        ),
        (
            Fault(
                "PUT",
                "/manifests/v1",
                status=412,
                body=b'{"errors":[{"code":"PRECONDITION","message":"match tag '
                b'retention rule","detail":{"rule":"release-*"}}]}',
            ),
            r'match tag retention rule; \{"rule": "release-\*"\}\)',
        ),
    ],
    ids=["immutable tag", "quota", "no repository", "page", "plain message", "detail"],
)
def test_a_refusal_is_told_in_the_registry_s_own_words(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest, fault: Fault, words: str
) -> None:
    proxy.faults.append(replace(fault, times=9))
    with pytest.raises(RegistryError, match=words):
        modelcar.push(model, reference(proxy, request))


def test_a_push_of_what_is_there_mends_a_manifest_that_got_lost(
    proxy: FaultyRegistry, model: Path, request: pytest.FixtureRequest
) -> None:
    name = reference(proxy, request)
    pushed = modelcar.push(model, name)
    lost = Fault("GET", pushed.manifests[0], times=1000, status=404)
    found = Fault("PUT", pushed.manifests[0], then=lambda: setattr(lost, "times", 0))
    proxy.faults += [lost, found]
    puts = proxy.count("PUT", pushed.manifests[0])
    again = modelcar.push(model, name, access=patient())
    assert (again.digest, again.existed) == (pushed.digest, True)
    assert proxy.count("PUT", pushed.manifests[0]) == puts + 1


@pytest.mark.parametrize("moved", [False, True])
def test_a_registry_that_does_not_tell_digests_in_headers_is_read(
    proxy: FaultyRegistry,
    registry: RegistryServer,
    model: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    moved: bool,
) -> None:
    name = reference(proxy, request)
    if moved:
        theirs = Fault(
            "PATCH", "/blobs/", then=lambda: push_other(tmp_path, name.replace(proxy.host, registry.host)) and None
        )
        proxy.faults.append(theirs)
    proxy.faults.append(Fault("HEAD", "/manifests/v1", times=9, status=200))
    if moved:
        with pytest.raises(ModelCarError, match=r"was set to sha256:\w+ by somebody else"):
            modelcar.push(model, name)
    else:
        assert modelcar.push(model, name).digest == modelcar.resolve(name)
