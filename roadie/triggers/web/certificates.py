"""The receiver's certificate: proved before it is used, and loaded anew once its files have changed."""

import contextlib
import logging
import ssl

from roadie.errors import TriggerError
from roadie.triggers.config import Tls

_log = logging.getLogger(__name__)


def load(tls: Tls, context: ssl.SSLContext | None = None) -> ssl.SSLContext:
    """A context that serves the certificate; `context` itself, where one is given, which then serves it from now on.

    Raises:
        TriggerError: the files are not there, do not belong together, or the key is encrypted.
    """
    try:
        # Half of a pair that does not fit would stay in a context that is in use.
        proof = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        proof.load_cert_chain(tls.certificate, tls.key, password=_no_password)
        if context is None:
            return proof
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
        raise TriggerError(
            f"{tls.certificate} and {tls.key} cannot be used ({said}); name a PEM certificate and its plain key"
        ) from None
    return context


def _no_password() -> str:
    # OpenSSL would ask for one at the terminal.
    return ""


class Renewal:
    """Keeps `context` at what the files say."""

    def __init__(self, tls: Tls, context: ssl.SSLContext) -> None:
        self._tls, self._context = tls, context
        self._seen = self._stamps()

    async def look(self) -> None:
        """Load the files if they have changed; handshakes from then on serve them."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        try:
            load(self._tls, self._context)
        except TriggerError as error:
            # Perhaps only one of the two is new by now: the next look is soon.
            _log.warning("certificate not renewed", extra={"fields": {"why": error}})
        else:
            self._seen = stamps
            _log.info("certificate renewed")

    def _stamps(self) -> list[int]:
        with contextlib.suppress(OSError):
            return [path.stat().st_mtime_ns for path in (self._tls.certificate, self._tls.key)]
        return []
