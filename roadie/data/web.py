"""Tables over http(s), with the standard library: time-outs, a few retries, credentials for one host only."""

import base64
import http.client
import logging
import shutil
import ssl
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import stamina

from roadie.data.sources import redact
from roadie.errors import DataError

ATTEMPTS = 4
TIMEOUT = 30.0  # seconds, for every wait on the socket
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSED = frozenset({401, 403, 407})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

logger = logging.getLogger(__name__)


class TransientError(Exception):
    """The download broke off in a way that another attempt may mend."""


def download(source: str, name: str, folder: Path) -> str:
    """Fetch the file `name` of the web folder `source` into `folder` and return its address without secrets.

    Proxies are those of the usual variables (HTTPS_PROXY, NO_PROXY). Plain http is allowed, for it is common
    inside a cluster, and logged as a warning when it leaves this machine.

    Raises:
        DataError: the address is malformed, or the server refuses, lacks the file or keeps failing.
    """
    address = _address_of(source, name)
    uri = redact(address.geturl())
    if address.scheme == "http" and address.hostname not in LOOPBACK:
        logger.warning("%s is read over plain http: nothing proves that these are the right bytes", uri)
    try:
        for attempt in stamina.retry_context(on=TransientError, attempts=ATTEMPTS, wait_initial=0.5, wait_max=5):
            with attempt:
                _fetch(address, uri, folder / name)
    except TransientError as error:
        problem = f"{uri} could not be had in {ATTEMPTS} attempts: {error}"
        raise DataError(f"{problem}; check the address, network and proxy") from None
    return uri


def _address_of(source: str, name: str) -> SplitResult:
    """The address of a file in a web folder; a query (a signature) stays behind the path."""
    try:
        folder = urlsplit(source)
        valid = bool(folder.hostname) and (folder.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise DataError(f"{redact(source)} is no web address; write it like https://HOST/FOLDER")
    path = quote(f"{folder.path.rstrip('/')}/{name}", safe="/%:@!$&'()*+,;=~")
    return folder._replace(path=path, fragment="")


def _fetch(address: SplitResult, uri: str, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    # Errors are not chained: urllib's own may hold the address with its password or signature.
    try:
        opener = build_opener(_Redirects)
        with opener.open(_request(address), timeout=TIMEOUT) as response, part.open("wb") as file:
            shutil.copyfileobj(response, file)
            expected = int(response.headers.get("Content-Length", file.tell()))
            if file.tell() < expected:  # which http.client, reading in pieces, does not notice
                raise TransientError(f"the connection broke off after {file.tell():,} of {expected:,} bytes")
    except HTTPError as error:
        raise _explain(error, uri) from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DataError(
                f"The certificate of {uri} is not trusted ({reason.verify_message}); "
                "name its authority's file in SSL_CERT_FILE"
            ) from None
        raise TransientError(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__) from None
    part.replace(path)


def _explain(error: HTTPError, uri: str) -> Exception:
    answer = f"HTTP {error.code} {error.reason}".rstrip()
    if error.code in TRANSIENT:
        return TransientError(answer)
    if error.code in REFUSED:
        return DataError(f"{uri} is refused ({answer}); give an address with credentials that may read it")
    if error.code in (http.client.NOT_FOUND, http.client.GONE):
        return DataError(f"{uri} is not there ({answer}); the address must be of the folder that holds it")
    return DataError(f"{uri} cannot be had ({answer}); check the address")


def _request(address: SplitResult) -> Request:
    host = address.netloc.rpartition("@")[2]
    request = Request(address._replace(netloc=host).geturl())  # noqa: S310  (http or https only)
    if address.username:
        pair = f"{unquote(address.username)}:{unquote(address.password or '')}"
        # Unredirected: urllib would otherwise hand the password to whatever host a redirect names.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    return request


class _Redirects(HTTPRedirectHandler):
    """Follows redirects over http and https, never from https to http; credentials stay with their origin."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in ("https", old.scheme):
            raise HTTPError(req.full_url, code, f"redirected to {new.scheme}", headers, fp)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        credentials = req.unredirected_hdrs.get("Authorization")
        if request and credentials and (old.scheme, old.netloc) == (new.scheme, new.netloc):
            request.add_unredirected_header("Authorization", credentials)
        return request
