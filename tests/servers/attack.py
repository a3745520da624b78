"""Everything that is known to bring a receiver down, from a process of its own: `python -m tests.servers.attack`.

    python -m tests.servers.attack PORT SECONDS

It ends with a line of JSON: how often each kind was done.
"""

import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable

from tests.servers.receiver import alert, payload, post

KINDS = ("silent", "dribbled", "strange_bodies", "many_labels", "odd_numbers", "pages")
_STRANGE = (
    b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"
    b"X-Hub-Signature-256: sha256=00\r\nContent-Length: 8000000\r\n\r\n"
)


class Attack:
    """Threads that do harm, each again and again, until the block ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ending = threading.Event()
        self.done: dict[str, int] = {}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=5)

    def go_on(self, seconds: float) -> None:
        """All kinds at once, for so long."""
        threads = [threading.Thread(target=self._again, args=(getattr(self, kind),)) for kind in KINDS]
        for thread in threads:
            thread.start()
        self._ending.wait(seconds)
        self._ending.set()
        for thread in threads:
            thread.join()

    def _again(self, kind: Callable[[], None]) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                kind()
                self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1
            self._ending.wait(0.05)

    def silent(self) -> None:
        """Three hundred connections that say nothing."""
        with contextlib.ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(self.connect())
            self._ending.wait(0.5)

    def dribbled(self) -> None:
        """A hundred heads that are begun and never ended."""
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(self.connect()).sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 15_000)
            self._ending.wait(0.5)

    def strange_bodies(self) -> None:
        """Eight large bodies with a made-up signature, all but their ends."""
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                with contextlib.suppress(OSError):
                    stack.enter_context(self.connect()).sendall(_STRANGE + b" " * 3_900_000)
            self._ending.wait(0.3)

    def many_labels(self) -> None:
        """Eight megabytes of labels in one alert, and then in many."""
        one = alert(f"{time.monotonic_ns():x}", **{f"label_{number}": "x" * 4096 for number in range(1900)})
        many = [alert(f"{time.monotonic_ns():x}", **{"l": "x" * 4000, "m": "y" * 4000}) for _ in range(900)]
        for alerts in ([one], many):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            with contextlib.closing(connection):
                post(connection, payload(alerts))

    def odd_numbers(self) -> None:
        """A number that no counter can hold, and more values than memory should."""
        for body in (
            b'{"version": "4", "alerts": [], "truncatedAlerts": ' + b"9" * 400 + b"}",
            b'{"version": "4", "alerts": [' + b"{}," * 2_000_000 + b"{}]}",
        ):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            with contextlib.closing(connection):
                assert post(connection, body)[0] in (400, 503)

    def pages(self) -> None:
        """The page, read by six at once."""
        readers = [threading.Thread(target=self._page) for _ in range(6)]
        for each in readers:
            each.start()
        for each in readers:
            each.join()

    def _page(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                connection.getresponse().read()


if __name__ == "__main__":
    attack = Attack(int(sys.argv[1]))
    attack.go_on(float(sys.argv[2]))
    sys.stdout.write(json.dumps(attack.done))
