"""A receiver is killed again and again, under load, before a KFP that loses answers: each event has exactly one run."""

import contextlib
import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from roadie.triggers.journal.journal import Journal
from roadie.triggers.rules.deciding import key_of
from tests.servers.kfp_api import Fault, KfpApi, serving
from tests.servers.process import free_port
from tests.servers.receiver import Receiver, alert, payload, post

KILLS = 20
STARTS_AT = "2026-01-31T12:00:00.123456Z"
# What goes wrong, and with how many of the requests.
FAULTS = [
    Fault("lose", "POST", "/runs", times=None, chance=0.25),
    Fault("drop", times=None, chance=0.05),
    Fault("refuse", times=None, chance=0.05),
    Fault("garble", "GET", "/runs", times=None, chance=0.02),
]


class Senders:
    """Alertmanagers that send every alert until it is answered with 2xx, and some of them again."""

    def __init__(self, port: int, count: int, seed: int) -> None:
        self._port, self._seed = port, seed
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self.accepted: Counter[str] = Counter()
        self.failures = 0
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Begin no further alert, and wait until the last one was taken."""
        self._ending.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "an alert was never taken"

    def _send(self, number: int) -> None:
        chance, sent = random.Random(self._seed + number), 0
        while not self._ending.is_set():
            new = [f"{number:x}{sent + each:06x}" for each in range(chance.randint(1, 3))]
            sent += len(new)
            again = [f"{number:x}{chance.randrange(sent):06x}"] if chance.random() < 0.3 else []
            self._deliver(payload([alert(fingerprint, STARTS_AT) for fingerprint in new + again]), chance)
            with self._lock:
                self.accepted.update(f"{fingerprint}@2026-01-31T12:00:00.123Z" for fingerprint in new + again)
            self._ending.wait(chance.uniform(0, 0.6))

    def _deliver(self, body: bytes, chance: random.Random) -> None:
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                with contextlib.closing(connection):
                    if post(connection, body)[0] == 200:
                        return
            with self._lock:
                self.failures += 1
            time.sleep(0.05)


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def counting(api: KfpApi) -> Counter[str]:
    """How many runs count under each key."""
    with api.lock:
        told = [
            (run, {run.get("state"), *(each.get("state") for each in run["state_history"])})
            for run in api.runs.values()
        ]
        runs = [run for run, states in told if "CANCELING" not in states]
    return Counter(run["display_name"].rpartition("-")[2] for run in runs)


def test_every_accepted_event_has_exactly_one_run_though_the_receiver_is_killed_twenty_times(tmp_path: Path) -> None:
    chance = random.Random(20260131)
    with serving(seconds_pending=0.0) as api:
        runs = {"where": "cluster", "endpoint": api.url, "seconds_between_looks": 3.0, "seconds_to_settle": 3.0}
        config = {"runs": runs, "models": {"jukebox": {"pipeline": "tiny.yaml", "max_active": 10_000}}}
        receiver = Receiver(tmp_path, free_port(), config)
        journal = Journal(tmp_path / "journal.db")
        try:
            receiver.start()
            api.faults = [*FAULTS]
            senders = Senders(receiver.port, 4, seed=7)
            for _ in range(KILLS):
                # At any moment of its work: after some more alerts.
                enough = senders.accepted.total() + chance.randint(1, 8)
                wait_until(lambda enough=enough: senders.accepted.total() >= enough, 120, "no alert is taken")
                receiver.kill()
                receiver.start()
            senders.finish()
            expected = {key_of("jukebox", subject) for subject in senders.accepted}
            wait_until(lambda: journal.waiting().count == 0, 120, "some runs were never started")
            wait_until(lambda: counting(api).keys() == expected, 120, "some events have no run, or a run no event")
            wait_until(
                lambda: set(counting(api).values()) == {1}, 120, f"some have two: {counting(api).most_common(3)}"
            )

            api.faults = []
            created, lost = len(api.runs), senders.failures
            # The journal knows the very run that counts, and follows it to its end.
            api.seconds_running = 0.0
            ended = lambda: {run.state for run in journal.runs(limit=100_000)} == {"succeeded"}  # noqa: E731
            wait_until(ended, 120, "some runs were not followed to their end")
            kept = {run.run_id for run in journal.runs(limit=100_000)}
            assert kept == {run_id for run_id, run in api.runs.items() if run["state"] == "SUCCEEDED"}
            assert len(kept) == len(expected)
        finally:
            receiver.stop()
            journal.close()
    print(
        f"{len(expected)} events, {lost} deliveries failed, {created} runs created, {created - len(expected)} stopped"
    )
