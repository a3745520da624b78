"""Send JSON to an address that is a secret itself: it is in no error, and no redirect carries anything elsewhere."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from roadie.errors import TriggerError

SECONDS = 15.0


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follow none: it would carry a token elsewhere, and a 302 makes a GET of a POST, whose 200 says nothing."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Make no request, so that the answer is the error that it is."""


_OPENER = urllib.request.build_opener(NoRedirects)


def post(url: str, payload: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """POST `payload` to `url`, and return once it was taken (2xx).

    Raises:
        TriggerError: it was not, or may not have been.
    """
    try:
        host = urlsplit(url).hostname if url.startswith(("http://", "https://")) else None
        if not host:
            raise ValueError
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            url,
            json.dumps(payload).encode(),
            {"Content-Type": "application/json", "User-Agent": "roadie", **headers},
        )
    except ValueError:
        raise TriggerError("the address to tell outcomes to is no http or https address; mend its secret") from None
    try:
        with _OPENER.open(request, timeout=SECONDS):
            return
    except urllib.error.HTTPError as error:
        raise TriggerError(f"{host} answered {error.code} to the news of a run; see what it logs") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Some of these repeat the address.
        said = getattr(getattr(error, "reason", error), "strerror", None) or type(error).__name__
        raise TriggerError(
            f"{host} did not take the news of a run ({said}); check its address and the way there"
        ) from None
