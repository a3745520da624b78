"""Tables over http(s): a few retries, and a login from netrc for one host only."""

import base64
import http.client
import logging
import netrc
import os
import ssl
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit
from urllib.request import Request

import stamina

from roadie.addresses import redact
from roadie.errors import DataError
from roadie.http import Http, HttpError, Redirects, TooLargeError

ATTEMPTS = 4
TIMEOUT = 30.0  # seconds, for every wait on the socket
LARGEST = 8 << 30  # bytes of a table: a source without end is not to fill the disk
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSED = frozenset({401, 403, 407})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

logger = logging.getLogger(__name__)


class TransientError(Exception):
    """The download broke off in a way that another attempt may mend."""


def download(source: str, name: str, folder: Path) -> str:
    """Fetch the file `name` of the web folder `source` into `folder` and return its address without secrets.

    Proxies are those of the usual variables (HTTPS_PROXY, NO_PROXY), the login is that of netrc. Plain http is
    allowed, for it is common inside a cluster, and logged as a warning when it leaves this machine.

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
    try:
        with part.open("wb") as file:
            Http(Redirects.OUTWARDS).save(_request(address, uri), file, TIMEOUT, LARGEST)
    except TooLargeError as error:
        raise DataError(f"{uri} is not read to its end: {error}; name a smaller table, or one in S3") from None
    except HttpError as error:
        raise _explain(error, uri) from None
    except OSError as error:
        raise DataError(f"{uri} cannot be written to {path.parent} ({error.strerror}); give it room") from None
    part.replace(path)


def _explain(error: HttpError, uri: str) -> Exception:
    if isinstance(error.cause, ssl.SSLCertVerificationError):
        return DataError(
            f"The certificate of {uri} is not trusted ({error.cause.verify_message}); "
            "name its authority's file in SSL_CERT_FILE"
        )
    if not error.status or error.status in TRANSIENT:
        return TransientError(error.why)
    if error.status in REFUSED:
        return DataError(f"{uri} is refused ({error.why}); name a netrc file that has the host's login in NETRC")
    if error.status in (http.client.NOT_FOUND, http.client.GONE):
        return DataError(
            f"{uri} is not there ({error.why}); the address must be of the folder that holds it, "
            "as one file: a folder of parts cannot be listed over the web, only in S3"
        )
    return DataError(f"{uri} cannot be had ({error.why}); check the address")


def _request(address: SplitResult, uri: str) -> Request:
    request = Request(address.geturl())  # noqa: S310  (http or https only)
    if login := _login(address.hostname or ""):
        if address.scheme == "http" and address.hostname not in LOOPBACK:
            raise DataError(f"The password for {uri} would go over plain http, where all can read it; use https")
        # Unredirected: urllib would otherwise hand the password to whatever host a redirect names.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    return request


def _login(host: str) -> str:
    """USER:PASSWORD of a host in the user's netrc file (curl's and git's), or nothing."""
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if not path.is_file():
        return ""
    try:
        found = netrc.netrc(path).authenticators(host)
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError):
        raise DataError(
            f"{path} cannot be read as a netrc file; write `machine HOST login USER password WORD`"
        ) from None
    return f"{found[0]}:{found[2]}" if found else ""
