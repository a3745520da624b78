"""What the cluster holds, kept up to date by list and watch (Kubernetes API concepts).

One thread a kind. A watch goes on from the resourceVersion where the last one ended, however it ended; when the API
server has forgotten that version (410 Gone), the objects are listed anew. Where watching is forbidden, they are listed
again and again.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from roadie.rollout.cluster import Cluster, Kind, RefusedError
from roadie.rollout.look import Object

INTERVAL = 5.0  # seconds between two lists, where watching is forbidden
# The API server ends a watch after so many seconds, so that a connection that died in silence is missed soon.
WATCH = 60
_BRIEF, _LONGEST = 1.0, 30.0  # seconds of pause after a watch that ended at once, and after an error that may pass


class Mirror:
    """The objects of one kind that a selector (``fieldSelector`` or ``labelSelector``) finds in a namespace.

    `objects` is None until they were listed; it is replaced as a whole, so that reading it needs no lock. `absent` is
    True when the cluster does not know the kind, `polls` when watching it is forbidden; `trouble` says why it cannot be
    asked right now, and `failure` why not at all.
    """

    def __init__(self, cluster: Cluster, kind: Kind, namespace: str, selector: dict[str, str]) -> None:
        self.kind = kind
        self.objects: dict[str, Object] | None = None
        self.absent = self.polls = False
        self.trouble = ""
        self.failure: RefusedError | None = None
        self._cluster, self._namespace, self._selector = cluster, namespace, selector
        self._version = ""
        self._response: Any = None

    def follow(self, stop: threading.Event, changed: Callable[[], None]) -> None:
        """Keep the objects up to date until `stop` is set or it is no use; `changed` is called after each change."""
        pause = 0.0
        while not (self.absent or self.failure or stop.wait(pause)):
            began = time.monotonic()
            try:
                if not self._version:
                    self.objects, self._version = self._cluster.list(self.kind, self._namespace, **self._selector)
                    self.trouble = ""
                    changed()
                if self.polls:
                    self._version, pause = "", INTERVAL
                    continue
                self._watch(stop, changed)
                # A server that hangs up at once must not be asked as fast as it can answer.
                pause = 0.0 if time.monotonic() - began > _BRIEF else _longer(pause, _BRIEF)
            except RefusedError as error:
                pause = self._cope(error, pause)
                changed()

    def close(self) -> None:
        """End the watch that is under way, so that its thread ends."""
        # Of a response that another thread is reading, or has just read, nothing is promised.
        with contextlib.suppress(AttributeError, RuntimeError, ValueError, OSError):
            self._response.shutdown()

    def _watch(self, stop: threading.Event, changed: Callable[[], None]) -> None:
        """Follow the changes until the API server ends the watch, or the connection drops: that is no error."""
        from urllib3.exceptions import HTTPError

        self._response = self._cluster.ask(
            "watch",
            self.kind,
            self._namespace,
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=self._version,
            timeoutSeconds=WATCH,
            **self._selector,
        )
        self.trouble = ""
        changed()
        with contextlib.suppress(HTTPError, OSError, ValueError, LookupError), contextlib.closing(self._response):
            # Whoever stops this may have come before there was a response to close.
            for line in () if stop.is_set() else self._response:
                self._take(json.loads(line))
                changed()

    def _take(self, event: Object) -> None:
        found, objects = event["object"], dict(self.objects or {})
        if event["type"] == "ERROR":
            self._version = ""
            raise RefusedError(
                f"the watch of {self.kind.plural} broke off: {found.get('message')}", found.get("code", 0)
            )
        self._version = found["metadata"]["resourceVersion"]
        if event["type"] == "DELETED":
            objects.pop(found["metadata"]["name"], None)
        elif event["type"] != "BOOKMARK":
            objects[found["metadata"]["name"]] = found
        self.objects = objects

    def _cope(self, error: RefusedError, pause: float) -> float:
        """What follows from an error; returns the seconds to wait before the next try."""
        if error.status == HTTPStatus.GONE:
            self._version = ""
            return _longer(pause, _BRIEF)
        if error.status == HTTPStatus.NOT_FOUND:
            self.objects, self.absent = {}, True
        elif error.status == HTTPStatus.FORBIDDEN and self._version:
            self._version, self.polls = "", True
        elif error.passing:
            self.trouble = str(error)
            return _longer(pause, _LONGEST)
        else:
            self.failure = error
        return 0.0


def _longer(pause: float, most: float) -> float:
    return min(most, pause * 2 or 0.1)
