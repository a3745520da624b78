"""A real headless Chromium that opens a page as people would see it, and answers what it shows.

It is driven by the DevTools protocol over a pipe (`--remote-debugging-pipe`: JSON messages that end in NUL), which
needs no package, opens no port, and keeps passwords out of the command line.
"""

import base64
import contextlib
import json
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers.process import require

SECONDS = 60.0
# The protocol wants the descriptors 3 and 4; what Chromium itself says goes to its log.
_PIPE = 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2'
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")


class Browser:
    """One tab. `complaints` is what its console said of the page that is open, such as a breach of its policy."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._buffer, self._asked, self._session = process, b"", 0, ""
        self._events: list[dict[str, Any]] = []
        self._session = self._ask("Target.attachToTarget", targetId=self._new_tab(), flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self._ask(f"{domain}.enable")

    @property
    def complaints(self) -> list[str]:
        """What the console said, one line each."""
        entries = [event["params"]["entry"] for event in self._events if event["method"] == "Log.entryAdded"]
        return [f"{entry['level']}: {entry['text']}" for entry in entries]

    def open(
        self,
        url: str,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        media: str = "",
        password: str = "",
        username: str = "roadie",
    ) -> None:
        """Load a page, on a screen of `width` by `height` CSS pixels, and wait until it is there.

        Args:
            url: The page.
            width: A phone's is 390; below 500 it is shown as a phone does.
            height: What is seen without scrolling.
            dark: Whether the person prefers a dark colour scheme.
            media: `print` for what a printer would get.
            password: For basic authentication; none when empty.
            username: The same.
        """
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._ask("Emulation.setEmulatedMedia", media=media, features=scheme)
        screen = {"width": width, "height": height, "deviceScaleFactor": 2 if width < 500 else 1}
        self._ask("Emulation.setDeviceMetricsOverride", **screen, mobile=width < 500)
        credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"} if password else {}
        self._ask("Network.setExtraHTTPHeaders", headers=headers)
        self._events.clear()
        failed = self._ask("Page.navigate", url=url).get("errorText")
        if failed:
            raise RuntimeError(f"chromium did not open {url}: {failed}")
        self._wait_for("Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """What a JavaScript expression gives on the page that is open; its policy does not forbid ours."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self) -> str:
        """What is seen of the page that is open, as text: hidden parts are left out."""
        return str(self.ask("document.body.innerText"))

    def press(self, key: str) -> None:
        """Press a key, such as `Tab` or `Enter`."""
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13}[key]
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def follow(self, selector: str) -> None:
        """Click on the first link that a CSS selector finds, and wait until the page it leads to is there."""
        self._events.clear()
        self.ask(f"document.querySelector({json.dumps(selector)}).click()")
        self._wait_for("Page.loadEventFired")

    def screenshot(self, path: Path, *, whole: bool = True) -> Path:
        """Write a PNG of the page that is open, all of it or what is seen without scrolling."""
        shot = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _new_tab(self) -> str:
        return str(self._ask("Target.createTarget", url="about:blank")["targetId"])

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        deadline = time.monotonic() + SECONDS
        while (answer := self._read(deadline, method)).get("id") != self._asked:
            pass
        if "error" in answer:
            raise RuntimeError(f"chromium refused {method}: {answer['error']}")
        return dict(answer["result"])

    def _wait_for(self, event: str) -> None:
        deadline = time.monotonic() + SECONDS
        while all(each["method"] != event for each in self._events):
            self._read(deadline, event)

    def _read(self, deadline: float, awaited: str) -> dict[str, Any]:
        """The next message; an event is kept, too."""
        assert self._process.stdout
        while b"\0" not in self._buffer:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RuntimeError(f"chromium said nothing for {SECONDS:.0f} s after {awaited}")
            piece = self._process.stdout.read1(1 << 20)  # type: ignore[attr-defined]
            if not piece:
                raise RuntimeError(f"chromium ended before it answered {awaited}")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self._events.append(message)
        return message


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Run Chromium, with a profile of its own, until the block ends."""
    program = require("chromium", "apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["sh", "-c", _PIPE, "sh", program, *_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        with (Path(profile) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        try:
            yield Browser(process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]


def text_of(url: str, *, width: int = 1280, password: str = "") -> str:
    """What people see of a page, as text, in a browser of its own."""
    with browser() as opened:
        opened.open(url, width=width, password=password)
        return opened.text()
