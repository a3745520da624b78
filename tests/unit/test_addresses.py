from typing import Any

import pytest

from roadie.addresses import found_in, redact, refuse_secrets
from roadie.errors import UsageError

SECRETS = [
    ("https://ada:hunter2@store.example.com/charts", "https://***@store.example.com/charts"),
    ("HTTPS://ada:hunter2@store.example.com", "HTTPS://***@store.example.com"),
    ("https://ghp_token@github.com/band/jukebox.git", "https://***@github.com/band/jukebox.git"),
    ("http://ada:hun/ter2@store.example.com/x", "http://***@store.example.com/x"),
    ("ssh://git:hunter2@git.example.com/x", "ssh://***@git.example.com/x"),
    ("postgresql://ada:hunter2@db/x", "postgresql://***@db/x"),
    (
        "https://s3.example.com/c?X-Amz-Date=1&X-Amz-Signature=abc",
        "https://s3.example.com/c?X-Amz-Date=1&X-Amz-Signature=***",
    ),
    (
        "https://x.blob.core.windows.net/c?sv=2024&sig=a%2Bb&se=1",
        "https://x.blob.core.windows.net/c?sv=2024&sig=***&se=1",
    ),
    ("https://x/c?access_token=abc", "https://x/c?access_token=***"),
    ("https://x/c?Signature=abc&Expires=1", "https://x/c?Signature=***&Expires=1"),
    ("https://x/c?private_token=abc#top", "https://x/c?private_token=***#top"),
    ("s3://charts?aws_secret_access_key=abc", "s3://charts?aws_secret_access_key=***"),
]
PLAIN = [
    "https://store.example.com/charts?since=2026-01-01&keyword=x",
    "https://store.example.com:8443/charts@v1",
    "registry.example.com:5000/band/jukebox@sha256:" + "0" * 64,
    "http://registry.example.com:5000/band/jukebox@sha256:1",
    "git@github.com:band/jukebox.git",
    "ssh://git@github.com/band/jukebox.git",
    "s3://charts/{labels.region}",
    "",
]


@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_a_password_or_signature_in_an_address_is_found_and_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(f"see {text} there") == f"see {shown} there"
    (told,) = found_in("charts", {"deep": [text]})
    assert "hunter2" not in told


@pytest.mark.parametrize("text", PLAIN)
def test_other_addresses_stay_as_they_are(text: str) -> None:
    assert redact(text) == text
    assert not list(found_in("charts", text))


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", "x", True),
        ("api_key", "x", True),
        ("s3_secret_key", "x", True),
        ("git_secret", "roadie-git", False),  # the name of a Secret
        ("max_tokens", 7, False),
        ("password", "", False),
    ],
)
def test_a_parameter_may_be_a_secret_by_its_name(name: str, value: Any, secret: bool) -> None:
    assert bool(list(found_in(name, value))) == secret


def test_a_parameter_with_a_secret_is_refused_by_its_name_alone() -> None:
    refuse_secrets({"charts": "s3://charts/2023-12", "split": {"share": 0.2}})
    for parameters in ({"charts": "https://me:hunter2@host/x"}, {"charts": {"deep": "https://host/x?sig=hunter2"}}):
        with pytest.raises(UsageError, match=r"charts holds a password.* put it into a secret") as refused:
            refuse_secrets(parameters)
        assert "hunter2" not in str(refused.value)
