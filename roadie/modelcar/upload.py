"""Sending one blob into a registry: in one pass when its digest is not known, resumed or begun anew when it breaks.

One pass: POST opens a session, PATCH sends the bytes while the hash runs over them, PUT closes it with the digest (OCI
distribution specification 1.1, "Pushing a blob in chunks", with one chunk). A POST that carries the blob itself is not
used: distribution 2.8 may answer 202 and drop the body.
"""

import hashlib
from collections.abc import Iterator
from http import HTTPStatus as Status

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer
from roadie.modelcar.content import SMALL_BLOB, Content, Part
from roadie.modelcar.repository import Repository
from roadie.modelcar.retry import CancelledError, RefusedError, wait_before
from roadie.modelcar.store import Blob, Report
from roadie.modelcar.transport import Body
from roadie.modelcar.urls import absolute

# A registry may hash or move the whole blob before it answers the closing PUT: seconds of patience per byte.
_PATIENCE = 1 / (20 << 20)
# Answers after which the session is not worth another request: gone, or its bytes are not what they should be.
_BROKEN_SESSION = {400, 404, 409, 416}


class Upload:
    """One blob on its way; `digest` is empty when it is to be found out."""

    def __init__(self, repository: Repository, content: Content, digest: str, report: Report) -> None:
        self._repository, self._content, self._report = repository, content, report
        self._digest = digest
        self._at_once = bool(digest) and content.size <= SMALL_BLOB
        self._hash = hashlib.sha256()
        self._reached = 0
        self._sent = 0
        self._session = ""
        self._token_renewed = False

    def run(self) -> Blob:
        """Send it, patiently; raises RegistryError when it cannot be done, ModelCarError when a file was changed."""
        attempt = 0
        try:
            while True:
                reached = self._reached
                try:
                    self._once()
                    break
                except RegistryError as error:
                    if self._reached > reached:
                        attempt, self._token_renewed = 0, False
                    if self._recovered(attempt, error):
                        break
                    attempt += 1
        except BaseException:
            if self._session:
                self._repository.cancel(self._session)
            raise
        return Blob(self._digest, self._content.size, self._sent)

    def _recovered(self, attempt: int, error: RegistryError) -> bool:
        """Make ready for another try, or raise `error` when none can help; True when the blob turns out to be there."""
        if isinstance(error, RefusedError) and error.status == Status.UNAUTHORIZED and not self._token_renewed:
            self._token_renewed = True  # the token ran out on the way; request() has fetched a new one
            return False
        if isinstance(error, RefusedError) and error.status in _BROKEN_SESSION and self._session:
            self._session = ""
            error.retryable = attempt == 0
        wait_before(attempt, error, self._repository.stop)
        if self._at_once and self._session:
            self._repository.cancel(self._session)  # half of a blob may be in it
            self._session = ""
        # The answer to a closing PUT may have been lost on its way here.
        return bool(self._digest) and self._repository.has(self._digest)

    def _once(self) -> None:
        start, size = self._resume(), self._content.size
        if not self._at_once:
            self._patch(start)
        digest = self._digest = self._digest or f"sha256:{self._hash.hexdigest()}"
        url = f"{self._session}{'&' if '?' in self._session else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        body = Body(self._parts(0), size) if self._at_once else b""
        patience = self._repository.timeout + size * _PATIENCE
        answer = self._repository.request("PUT", url, headers, body, timeout=patience)
        if answer.status != Status.CREATED:  # "201 Created" alone means that the blob is there
            raise self._repository.refused(answer, f"take {self._content.label}")

    def _resume(self) -> int:
        """Where to go on: the offset that the registry has of an open session, or 0 in a new one."""
        if self._session:
            answer = self._repository.request("GET", self._session)
            if answer.status == Status.NO_CONTENT:
                self._moved(answer)
                last = answer.headers.get("range", "").removeprefix("bytes=").partition("-")[2]
                # distribution says 0-0 for an empty upload too
                return min(int(last) + 1, self._content.size) if last.isdigit() and last != "0" else 0
        answer = self._repository.ask("POST", "/blobs/uploads/", expect={Status.ACCEPTED})
        self._moved(answer)
        return 0

    def _patch(self, start: int) -> None:
        size = self._content.size
        if start == size:
            return
        headers = {"Content-Type": "application/octet-stream"}
        if start:
            headers["Content-Range"] = f"{start}-{size - 1}"
        answer = self._repository.request("PATCH", self._session, headers, Body(self._parts(start), size - start))
        if answer.status not in {Status.CREATED, Status.ACCEPTED, Status.NO_CONTENT}:
            raise self._repository.refused(answer, f"take {self._content.label}")
        self._moved(answer)

    def _parts(self, position: int) -> Iterator[Part]:
        """The bytes from `position` on, hashed where they have not been yet, counted and reported as they leave."""
        for part in self._content.parts(position):
            if self._repository.stop.is_set():
                raise CancelledError("The push was given up.")
            end = position + len(part.view)
            if end > self._reached:
                if not self._digest:
                    self._hash.update(part.view[max(0, self._reached - position) :])
                self._reached = end
            yield part
            self._sent += end - position
            position = end
            self._report(self._content.label, position, self._content.size)

    def _moved(self, answer: Answer) -> None:
        """Take the session's new address, which changes with every request and may be relative."""
        self._session = absolute(self._repository.base, answer.headers.get("location", "") or self._session)
