"""What to do about a registry's refusal. Its own words stand before this, and are never contradicted."""

from collections.abc import Iterator
from http import HTTPStatus as Status

from roadie.modelcar.access import Answer
from roadie.modelcar.credentials import Credentials
from roadie.modelcar.urls import host_of, same_origin
from roadie.modelcar.words import Words

# Codes of the OCI distribution specification; statuses count where there is none of these.
_BY_CODE = {
    "DENIED": "ask who runs the registry for the right to do that",
    "MANIFEST_BLOB_UNKNOWN": "push again",
    "BLOB_UPLOAD_UNKNOWN": "push again",
    "NAME_INVALID": "check the repository's name",
    "NAME_UNKNOWN": "check the repository's name, or make the repository first",
    "SIZE_INVALID": "a proxy before the registry may cut what is sent: ask who runs it",
    "TAG_INVALID": "push under a new tag",
    "TOOMANYREQUESTS": "the registry limits how often it may be asked, try again later",
    "UNSUPPORTED": "the registry does not offer that, take another one or ask who runs it",
}
_BY_STATUS = {
    Status.FORBIDDEN: "ask who runs the registry for the right to do that",
    Status.NOT_FOUND: "check the registry's address and the repository's name",
    Status.REQUEST_ENTITY_TOO_LARGE: "the registry, or a proxy before it, limits the size of uploads, raise that limit",
    Status.TOO_MANY_REQUESTS: "the registry limits how often it may be asked, try again later",
    Status.PROXY_AUTHENTICATION_REQUIRED: "give the proxy's name and password in the proxy's address",
}


def advice_for(answer: Answer, words: Words, base: str, credentials: Credentials) -> str:
    """Half a sentence; `base` is the address at which the registry was asked at first."""
    return next(_advice(answer, words, base, credentials))


def _advice(answer: Answer, words: Words, base: str, credentials: Credentials) -> Iterator[str]:
    status, registry = answer.status, host_of(base)
    failed = status >= Status.INTERNAL_SERVER_ERROR
    if answer.origin and not same_origin(answer.origin, base) and not failed:
        there = host_of(answer.origin)
        yield (
            f"the registry sends clients to {there} for that, where no password of {registry} goes: "
            "its external address may be set wrong"
        )
    if answer.proxy and not words.code and not failed:
        yield (
            f"the request went by the proxy {answer.proxy}, which may have said that: ask who runs it, "
            f"or name {registry} in NO_PROXY"
        )
    if status == Status.UNAUTHORIZED:
        yield _login(registry, credentials)
    if words.code in _BY_CODE:
        yield _BY_CODE[words.code]
    if words.is_page and status == Status.FORBIDDEN:
        yield "that is a page and no registry's answer, ask who runs what stands before the registry"
    if status == Status.BAD_REQUEST and not words.code:
        yield "give its CA file if it wants TLS"
    if status in _BY_STATUS:
        yield _BY_STATUS[Status(status)]
    if failed:
        yield "look into the registry's log"
    yield "ask who runs the registry" if words.code or words.text else "check the reference"


def _login(registry: str, credentials: Credentials) -> str:
    if credentials:
        who = credentials.username or "the bearer of the identity token"
        return f"{who} has not the right, or the password is wrong: check the registry credentials"
    return (
        f"an anonymous user has not the right: check the registry credentials, log in with `skopeo login {registry}` "
        "or `docker login`, or set REGISTRY_USERNAME and REGISTRY_PASSWORD"
    )
