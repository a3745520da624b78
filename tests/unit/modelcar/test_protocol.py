"""The pure parts of talking to a registry: addresses, challenges, and what is worth another try."""

import threading
from collections.abc import Callable

import pytest

from roadie.errors import RegistryError
from roadie.modelcar.access import Access, Answer, Clock
from roadie.modelcar.auth import parse_challenges
from roadie.modelcar.connect import ConnectionFailedError
from roadie.modelcar.proxies import is_exempt
from roadie.modelcar.retry import CancelledError, Patience, RefusedError, retry_after, retrying
from roadie.modelcar.transport import Transport
from roadie.modelcar.urls import absolute, is_loopback, same_origin, split
from roadie.modelcar.words import words_of
from tests.servers.clock import HandClock


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/1?_state=x", "https://registry.test/v2/a/blobs/uploads/1?_state=x"),
        ("https://registry.test/v2/a/1", "https://registry.test/v2/a/1"),
        ("http://registry.test/v2/a/1", "https://registry.test/v2/a/1"),
        ("//storage.test/1", "https://storage.test/1"),
        ("https://storage.test/1?signature=x", "https://storage.test/1?signature=x"),
        ("https://registry.test:443/v2/a/1", "https://registry.test/v2/a/1"),
        ("http://registry.test:80/v2/a/1", "https://registry.test/v2/a/1"),
        ("https://REGISTRY.Test/v2/A/1?X=y", "https://registry.test/v2/A/1?X=y"),
        ("HTTPS://registry.test./v2/a/1", "https://registry.test/v2/a/1"),
        ("https://me:secret@registry.test/v2/a/1#part", "https://registry.test/v2/a/1"),
        ("uploads/1", "https://registry.test/v2/uploads/1"),
        ("?_state=x", "https://registry.test/v2/a?_state=x"),
        ("https://registry.test:8443/v2/a/1", "https://registry.test:8443/v2/a/1"),
    ],
)
def test_a_location_may_be_relative_or_elsewhere_but_never_falls_back_to_http(location: str, expected: str) -> None:
    assert absolute("https://registry.test/v2/a", location) == expected


def test_a_missing_location_is_one_sentence() -> None:
    with pytest.raises(RegistryError, match=r"registry.test sent no Location"):
        absolute("https://registry.test/v2/a", "")


def test_an_address_that_is_none_is_one_sentence() -> None:
    for address in ("http://[bad", "https://[::1", "https://registry.test:port/", "https://registry.test:99999/"):
        with pytest.raises(RegistryError, match="is no address"):
            absolute("https://registry.test/v2/a", address)
        with pytest.raises(RegistryError, match="is no address"):
            Transport(Access()).is_safe(address)


def test_credentials_belong_to_one_server() -> None:
    assert same_origin("https://a.test/v2/x", "https://a.test/v2/y?z")
    assert same_origin("https://a.test/v2/x", "https://A.test.:443/v2/x")
    assert same_origin("https://[::1]:1/v2/x", "https://[0:0:0:0:0:0:0:1]:1/v2/x")
    assert same_origin("https://b\u00fccher.test/", "https://xn--bcher-kva.test/")
    assert not same_origin("https://a.test/v2/x", "https://a.test@evil.test/v2/x")
    assert not same_origin("https://a.test/v2/x", "https://a.test:8443/v2/x")
    assert not same_origin("https://a.test/v2/x", "http://a.test/v2/x")


BEARER = (
    "bearer",
    {
        "realm": "https://auth.test/token",
        "service": "a, b",
        "scope": "repository:x:pull,push",
        "error": "bad",
    },
)
BEARER_LINE = 'Bearer realm="https://auth.test/token",service="a, b",scope="repository:x:pull,push",error=bad'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (BEARER_LINE, [BEARER]),
        (f'{BEARER_LINE}, Basic realm="Gitea"', [BEARER, ("basic", {"realm": "Gitea"})]),
        (f'Basic realm="Gitea", {BEARER_LINE}', [("basic", {"realm": "Gitea"}), BEARER]),
        (
            f'BASIC realm="a \\"quoted\\", Bearer one" , {BEARER_LINE}',
            [("basic", {"realm": 'a "quoted", Bearer one'}), BEARER],
        ),
        (f"Negotiate, {BEARER_LINE}", [("negotiate", {}), BEARER]),
        (f"Negotiate YII=, {BEARER_LINE}", [("negotiate", {}), BEARER]),
        (f"NTLM , , {BEARER_LINE} ,", [("ntlm", {}), BEARER]),
        ('Basic realm = "spaced" , charset="UTF-8"', [("basic", {"realm": "spaced", "charset": "UTF-8"})]),
        (
            'Digest realm="d", qop="auth, auth-int", nonce=x, Basic realm=y',
            [
                ("digest", {"realm": "d", "qop": "auth, auth-int", "nonce": "x"}),
                ("basic", {"realm": "y"}),
            ],
        ),
        ('"""', []),
        ("", []),
    ],
)
def test_every_challenge_is_read_with_its_own_parameters(header: str, expected: list[object]) -> None:
    assert parse_challenges(header) == expected


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


def failing(status: int, **headers: str) -> tuple[Callable[[], None], list[float], HandClock]:
    """A call that is always refused, when it was made, and the clock for it."""
    clock, calls = HandClock(), list[float]()

    def call() -> None:
        calls.append(clock.seconds)
        raise RefusedError("refused", Answer(status, {name.replace("_", "-"): text for name, text in headers.items()}))

    return call, calls, clock


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504, 520])
def test_what_may_pass_is_tried_again_for_minutes(status: int) -> None:
    call, calls, clock = failing(status)
    with pytest.raises(RefusedError):
        retrying(call, Patience(600, clock, threading.Event()))
    assert 500 < clock.seconds <= 600
    assert len(calls) < 80, "and not so often that it is a burden"


def test_an_internal_error_is_more_often_for_good_and_waited_for_a_shorter_time() -> None:
    call, _, clock = failing(500)
    with pytest.raises(RefusedError):
        retrying(call, Patience(600, clock, threading.Event()))
    assert 90 < clock.seconds <= 120


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 501])
def test_what_does_not_pass_is_not_tried_again(status: int) -> None:
    call, calls, clock = failing(status)
    with pytest.raises(RefusedError):
        retrying(call, Patience(600, clock, threading.Event()))
    assert (len(calls), clock.seconds) == (1, 0)


def test_a_try_that_takes_longer_than_the_patience_is_not_the_last() -> None:
    call, calls, clock = failing(503)

    def long() -> None:
        clock.seconds += 3600
        call()

    with pytest.raises(RefusedError):
        retrying(long, Patience(600, clock, threading.Event()))
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("after", "date", "seconds"),
    [
        ("7", "", 7),
        (" 7 ", "", 7),
        ("Wed, 25 Nov 2026 10:00:30 GMT", "Wed, 25 Nov 2026 10:00:00 GMT", 30),
        ("Wednesday, 25-Nov-26 10:00:30 GMT", "Wed, 25 Nov 2026 10:00:00 GMT", 30),
        ("Wed, 25 Nov 2026 09:00:00 GMT", "Wed, 25 Nov 2026 10:00:00 GMT", 0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", "", 0),
        ("tomorrow", "", 0),
        ("\u00b2", "", 0),
        ("-5", "", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(after: str, date: str, seconds: float) -> None:
    assert retry_after(Answer(429, {"retry-after": after, "date": date})) == seconds
    call, calls, clock = failing(429, retry_after=after, date=date)
    with pytest.raises(RefusedError):
        retrying(call, Patience(600, clock, threading.Event()))
    assert calls[1] >= seconds


def test_a_registry_that_asks_for_an_hour_is_not_waited_for_but_quoted() -> None:
    call, calls, clock = failing(429, retry_after="3600")
    with pytest.raises(RegistryError, match=r"refused; it asks to be left alone for 3600 s: try again then"):
        retrying(call, Patience(600, clock, threading.Event()))
    assert (len(calls), clock.seconds) == (1, 0)


def test_a_wait_ends_when_the_push_is_given_up() -> None:
    stop = threading.Event()
    stop.set()

    def call() -> None:
        raise ConnectionFailedError("cut")

    with pytest.raises(CancelledError):
        retrying(call, Patience(600, Clock(), stop))


def test_a_long_wait_is_told_about_once(caplog: pytest.LogCaptureFixture) -> None:
    call, _, clock = failing(503)
    with pytest.raises(RefusedError):
        retrying(call, Patience(600, clock, threading.Event()))
    assert [record.message.partition(" for up to ")[0] for record in caplog.records] == ["refused Trying again"]


@pytest.mark.parametrize(
    ("host", "no_proxy", "exempt"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "192.168.0.0/16, 10.1.0.0/16", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]", True),
        ("fd00::1", "fd00::1", True),
        ("registry.test", "10.0.0.0/8", False),
        ("registry.test", "registry.test", True),
        ("a.registry.test", "registry.test", True),
        ("a.registry.test", ".registry.test", True),
        ("registry.test", "*.test", True),
        ("aregistry.test", "registry.test", False),
        ("registry.test", "REGISTRY.TEST", True),
        ("registry.test", "registry.test:5000", True),
        ("registry.test", "registry.test:5001", False),
        ("10.1.2.3", "10.0.0.0/8:5001", False),
        ("registry.test", "localhost 127.0.0.1\tregistry.test", True),
        ("registry.test", "*", True),
        ("registry.test", "", False),
        ("registry.test", ",.,", False),
    ],
)
def test_no_proxy_names_addresses_networks_and_domains(host: str, no_proxy: str, exempt: bool) -> None:
    assert is_exempt(host, 5000, no_proxy) is exempt


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST:5000", True),
        ("127.0.0.1", True),
        ("127.8.9.10:80", True),
        ("[::1]:5000", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("localhost@evil.test", False),
        ("127.1@evil.test", False),
        ("127.0.0.1@evil.test:80", False),
        ("localhost.evil.test", False),
        ("127.0.0.1.evil.test", False),
        ("127.evil.test", False),
        ("[::ffff:8.8.8.8]", False),
    ],
)
def test_loopback_is_told_by_the_address(host: str, here: bool) -> None:
    assert is_loopback(split(f"http://{host}/token")) is here
    transport = Transport(Access())
    transport.base("localhost:5000")
    assert transport.is_safe(f"http://{host}/token") is here


def test_a_registry_elsewhere_cannot_make_this_machine_ask_itself() -> None:
    transport = Transport(Access())
    transport.base("registry.test")
    assert not transport.is_safe("http://127.0.0.1:8080/admin")
    with pytest.raises(RegistryError, match=r"127.0.0.1:8080 would be reached without TLS"):
        transport.send("POST", "http://127.0.0.1:8080/admin", {})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"errors":[{"code":"DENIED","message":"no","detail":{"quota":1}}]}', 'DENIED: no; {"quota": 1}'),
        (b'{"errors":[{"code":"A","message":"first"},{"code":"B","message":"second"}]}', "A: first; second"),
        (b'{"errors":[{"status":403,"message":"blocked by policy"}]}', "blocked by policy"),
        (b'{"error":{"code":403,"message":"in an object"}}', "in an object"),
        (b'{"message":"plain"}', "plain"),
        (b'{"error":"invalid_grant","error_description":"expired"}', "expired; invalid_grant"),
        (b'{"details":"incorrect username or password"}', "incorrect username or password"),
        (b'["one", "two"]', "one; two"),
        (b"<html><head><title>RBAC</title><style>x{}</style></head><body><h1>access\n denied</h1></body></html>", None),
        (b"quota of 5 GB exceeded", "quota of 5 GB exceeded"),
        (b'{"errors":[{"code":"X","message":"a\\u001b[31mb\\nc s3cret"}]}', "X: a [31mb c ***"),
        (b"[" * 100_000, "["),
        (b"\xff\xfe", None),
        (b"", ""),
        (b"null", "null"),
        (b'{"errors":[null]}', ""),
        (b'{"errors":{"a":1}}', ""),
    ],
)
def test_a_server_s_own_words_are_found_in_whatever_form(body: bytes, expected: str | None) -> None:
    said = str(words_of(Answer(403, {}, body), ["s3cret"]))
    assert "\n" not in said
    assert said.isprintable()
    assert len(said) <= 450
    if expected is not None:
        assert said.startswith(expected)
    if b"RBAC" in body:
        assert said == "RBAC access denied"
