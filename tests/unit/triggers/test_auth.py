"""Who may start runs: bearer tokens, GitLab's token, and signatures over the raw bytes."""

import hashlib
import hmac

import pytest

from roadie.triggers.web.auth import is_signed, may_send

SECRET = "correct horse battery staple é"
BODY = b'{"alerts": []}'
HEX = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest().encode()


def test_alertmanager_is_known_by_its_bearer_token() -> None:
    assert may_send("alertmanager", [(b"authorization", b"Bearer " + SECRET.encode())], SECRET)
    assert may_send("alertmanager", [(b"authorization", b"bearer  " + SECRET.encode())], SECRET)
    assert is_signed("alertmanager", [], BODY, SECRET)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", b"Basic " + SECRET.encode())],
        [(b"authorization", SECRET.encode())],
        [(b"authorization", b"Bearer " + SECRET.encode()[:-1])],
        [(b"authorization", b"Bearer " + SECRET.encode()), (b"authorization", b"Bearer " + SECRET.encode())],
        [(b"x-gitlab-token", SECRET.encode())],
    ],
)
def test_whoever_has_not_the_token_is_not_alertmanager(headers: list[tuple[bytes, bytes]]) -> None:
    assert not may_send("alertmanager", headers, SECRET)


def test_gitlab_is_known_by_its_own_header() -> None:
    assert may_send("gitlab", [(b"x-gitlab-token", SECRET.encode())], SECRET)
    assert not may_send("gitlab", [(b"x-gitlab-token", b"wrong")], SECRET)
    assert not may_send("gitlab", [(b"authorization", b"Bearer " + SECRET.encode())], SECRET)


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("github", [(b"x-hub-signature-256", b"sha256=" + HEX)]),
        ("gitea", [(b"x-gitea-signature", HEX)]),
        ("gitea", [(b"x-hub-signature-256", b"sha256=" + HEX)]),
        ("gitea", [(b"x-gitea-signature", HEX), (b"x-hub-signature-256", b"sha256=" + HEX)]),
    ],
)
def test_a_signature_over_the_raw_bytes_is_accepted(source: str, headers: list[tuple[bytes, bytes]]) -> None:
    assert may_send(source, headers, SECRET)
    assert is_signed(source, headers, BODY, SECRET)
    assert not is_signed(source, headers, BODY + b" ", SECRET)
    assert not is_signed(source, headers, BODY, SECRET + "x")


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("github", []),
        ("gitea", []),
        ("github", [(b"x-gitea-signature", HEX)]),
        ("github", [(b"x-hub-signature", b"sha1=" + HEX)]),
        ("github", [(b"x-hub-signature-256", b"sha256=")]),
        ("github", [(b"x-hub-signature-256", b"sha256=\xff\xfe")]),
        ("github", [(b"x-hub-signature-256", b"sha256=" + HEX), (b"x-hub-signature-256", b"sha256=" + HEX)]),
        # One that is wrong is not made good by another.
        ("gitea", [(b"x-gitea-signature", b"0" * 64), (b"x-hub-signature-256", b"sha256=" + HEX)]),
    ],
)
def test_a_body_without_its_one_right_signature_is_refused(source: str, headers: list[tuple[bytes, bytes]]) -> None:
    assert not (may_send(source, headers, SECRET) and is_signed(source, headers, BODY, SECRET))
    assert not is_signed(source, headers, BODY, SECRET)


def test_an_empty_secret_lets_nobody_in() -> None:
    assert not may_send("alertmanager", [(b"authorization", b"Bearer ")], "")
    assert not may_send("gitlab", [(b"x-gitlab-token", b"")], "")
