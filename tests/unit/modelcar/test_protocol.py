"""The pure parts of talking to a registry: addresses, challenges, and what is worth another try."""

import threading

import pytest

from roadie.errors import RegistryError
from roadie.modelcar.access import Access, Answer
from roadie.modelcar.auth import parse_challenge
from roadie.modelcar.connect import ConnectionFailedError
from roadie.modelcar.retry import ATTEMPTS, CancelledError, RefusedError, retrying
from roadie.modelcar.transport import Transport
from roadie.modelcar.urls import absolute, same_origin


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/1?_state=x", "https://registry.test/v2/a/blobs/uploads/1?_state=x"),
        ("https://registry.test/v2/a/1", "https://registry.test/v2/a/1"),
        ("http://registry.test/v2/a/1", "https://registry.test/v2/a/1"),
        ("//storage.test/1", "https://storage.test/1"),
        ("https://storage.test/1?signature=x", "https://storage.test/1?signature=x"),
    ],
)
def test_a_location_may_be_relative_or_elsewhere_but_never_falls_back_to_http(location: str, expected: str) -> None:
    assert absolute("https://registry.test/v2/a", location) == expected


def test_a_missing_location_is_one_sentence() -> None:
    with pytest.raises(RegistryError, match=r"registry.test sent no Location"):
        absolute("https://registry.test/v2/a", "")


def test_an_address_that_is_none_is_one_sentence() -> None:
    for address in ("http://[bad", "https://[::1"):
        with pytest.raises(RegistryError, match="is no address"):
            absolute("https://registry.test/v2/a", address)
        with pytest.raises(RegistryError, match="is no address"):
            Transport(Access()).is_safe(address)


def test_credentials_belong_to_one_server() -> None:
    assert same_origin("https://a.test/v2/x", "https://a.test/v2/y?z")
    assert not same_origin("https://a.test/v2/x", "https://a.test:8443/v2/x")
    assert not same_origin("https://a.test/v2/x", "http://a.test/v2/x")


def test_a_challenge_is_read_with_its_parameters() -> None:
    header = 'Bearer realm="https://auth.test/token",service="a, b",scope="repository:x:pull,push",error=invalid_token'
    assert parse_challenge(header) == (
        "bearer",
        {
            "realm": "https://auth.test/token",
            "service": "a, b",
            "scope": "repository:x:pull,push",
            "error": "invalid_token",
        },
    )
    assert parse_challenge("")[0] == ""


@pytest.mark.parametrize(
    ("access", "host", "base"),
    [
        (Access(), "registry.test", "https://registry.test"),
        (Access(), "localhost:5000", "http://localhost:5000"),
        (Access(), "127.0.0.1:5000", "http://127.0.0.1:5000"),
        (Access(), "[::1]:5000", "http://[::1]:5000"),
        (Access(plain_http=True), "registry.test", "http://registry.test"),
        (Access(ca_file="ca.pem"), "localhost:5000", "https://localhost:5000"),
    ],
)
def test_plain_http_is_for_loopback_or_for_who_asks_for_it(access: Access, host: str, base: str) -> None:
    assert Transport(access).base(host) == base


def test_nothing_is_sent_without_tls_to_where_a_server_points() -> None:
    assert not Transport(Access()).is_safe("http://auth.test/token")
    with pytest.raises(RegistryError, match=r"auth.test would be reached without TLS"):
        Transport(Access()).send("GET", "http://auth.test/token", {})


@pytest.mark.parametrize(("status", "tries"), [(500, ATTEMPTS), (429, ATTEMPTS), (404, 1), (401, 1), (413, 1)])
def test_only_what_may_pass_is_tried_again(status: int, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadie.modelcar.retry._FIRST_DELAY", 0.0001)
    calls = []

    def call() -> None:
        calls.append(1)
        raise RefusedError("refused", Answer(status, {}))

    with pytest.raises(RefusedError):
        retrying(call, threading.Event())
    assert len(calls) == tries


def test_a_registry_that_asks_for_an_hour_is_not_waited_for() -> None:
    def call() -> None:
        raise RefusedError("later", Answer(429, {"retry-after": "3600"}))

    with pytest.raises(RefusedError):
        retrying(call, threading.Event())


def test_a_wait_ends_when_the_push_is_given_up() -> None:
    stop = threading.Event()
    stop.set()

    def call() -> None:
        raise ConnectionFailedError("cut")

    with pytest.raises(CancelledError):
        retrying(call, stop)
