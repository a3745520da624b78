"""Sending one blob into a registry: in one pass when its digest is not known, resumed or begun anew when it breaks.

One pass: POST opens a session, PATCH sends the bytes while the hash runs over them, PUT closes it with the digest (OCI
distribution specification 1.1, "Pushing a blob in chunks", with one chunk). A POST that carries the blob itself is not
used: distribution 2.8 may answer 202 and drop the body.
"""

import hashlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus as Status

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer
from roadie.modelcar.content import SMALL_BLOB, Content, Part
from roadie.modelcar.repository import Repository
from roadie.modelcar.retry import CancelledError, Patience, RefusedError
from roadie.modelcar.store import Blob, Report
from roadie.modelcar.transport import Body
from roadie.modelcar.urls import absolute

_UPLOADS = "/blobs/uploads/"
_BYTES = {"Content-Type": "application/octet-stream"}
# A registry may hash or move the whole blob before it answers: seconds of patience per byte.
_PATIENCE = 1 / (5 << 20)
# Answers after which the session is not worth another request: gone, or its bytes are not what they should be.
_BROKEN_SESSION = {400, 404, 409, 416}


class Upload:
    """One blob on its way; `digest` is empty when it is to be found out.

    All requests are made once: the one loop that tries again is in run().
    """

    def __init__(self, repository: Repository, content: Content, digest: str, report: Report) -> None:
        self._repository, self._content, self._report = repository, content, report
        self._digest = digest
        self._at_once = bool(digest) and content.size <= SMALL_BLOB
        self._hash = hashlib.sha256()
        self._reached = 0
        self._sent = 0
        self._session = ""
        self._closing = False
        self._excused: set[int] = set()

    def run(self) -> Blob:
        """Send it, patiently; raises RegistryError when it cannot be done, ModelCarError when a file was changed."""
        patience = self._repository.patience()
        try:
            while True:
                reached = self._reached
                try:
                    self._once()
                    return Blob(self._digest, self._content.size, self._sent)
                except RegistryError as error:
                    if self._reached > reached:
                        patience.progress()
                        self._excused.clear()
                    self._recover(error, patience)
        except BaseException:
            self._leave_session()
            raise

    def _recover(self, error: RegistryError, patience: Patience) -> None:
        """Make ready for another try, or raise `error` when none can help."""
        if isinstance(error, RefusedError) and self._is_excused(error.status):
            if error.status in _BROKEN_SESSION:
                self._leave_session()
            return
        if isinstance(error, RefusedError) and error.status in _BROKEN_SESSION:
            raise error
        patience.wait(error)
        if self._at_once:
            self._leave_session()  # half of a blob may be in it

    def _is_excused(self, status: int) -> bool:
        """Whether a refusal may be for what passes with another try at once, the first time that it comes.

        401: the token ran out on the way, and request() has fetched a new one. Others: the session is gone.
        """
        passes = status == Status.UNAUTHORIZED or (status in _BROKEN_SESSION and bool(self._session))
        first = passes and status not in self._excused
        self._excused.add(status)
        return first

    def _leave_session(self) -> None:
        if self._session:
            self._repository.cancel(self._session)
            self._session = ""

    def _once(self) -> None:
        # The answer to a closing PUT may have been lost on its way here.
        if self._closing and self._repository.has_now(self._digest):
            self._session = ""
            return
        start, size = self._resume(), self._content.size
        if not self._at_once:
            self._patch(start)
        digest = self._digest = self._digest or f"sha256:{self._hash.hexdigest()}"
        url = f"{self._session}{'&' if '?' in self._session else '?'}digest={digest}"
        body = Body(self._parts(0), size) if self._at_once else b""
        self._closing = True
        answer = self._request("PUT", url, _BYTES, body)
        if answer.status != Status.CREATED:  # "201 Created" alone means that the blob is there
            raise self._repository.refused(answer, f"take {self._content.label}")

    def _request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body) -> Answer:
        patience = self._repository.access.timeout + self._content.size * _PATIENCE
        return self._repository.request(method, url, headers, body, timeout=patience)

    def _resume(self) -> int:
        """Where to go on: the offset that the registry has of an open session, or 0 in a new one."""
        if self._session:
            answer = self._repository.request("GET", self._session)
            if answer.status == Status.NO_CONTENT:
                self._moved(answer, self._session)
                last = answer.headers.get("range", "").removeprefix("bytes=").partition("-")[2]
                # distribution says 0-0 for an empty upload too
                start = int(last) + 1 if last.isascii() and last.isdigit() and last != "0" else 0
                if start <= self._reached:
                    return start
            # The session is gone, or is said to hold what was never sent.
            self._leave_session()
        answer = self._repository.ask_now("POST", _UPLOADS, expect={Status.ACCEPTED})
        self._moved(answer, self._repository.base + _UPLOADS)
        return 0

    def _patch(self, start: int) -> None:
        size = self._content.size
        if start == size:
            return
        headers = {**_BYTES, "Content-Range": f"{start}-{size - 1}"} if start else _BYTES
        answer = self._request("PATCH", self._session, headers, Body(self._parts(start), size - start))
        if answer.status not in {Status.CREATED, Status.ACCEPTED, Status.NO_CONTENT}:
            raise self._repository.refused(answer, f"take {self._content.label}")
        self._moved(answer, self._session)

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

    def _moved(self, answer: Answer, asked: str) -> None:
        """Take the session's new address, which changes with every request and may be relative."""
        self._session = absolute(asked, answer.headers.get("location", "") or self._session)
