"""How fast the receiver takes alerts: one message of 2,000, and 200 messages a second for half a minute.

    python bench/triggers.py [--seconds 30] [--rate 200]

`roadie listen` is a process of its own, with its journal on disk and a stand-in for Kubeflow Pipelines on loopback to
which it submits the runs that come of the alerts meanwhile. Each message is a POST of one alert over one of 16 kept
connections, sent at its time whether or not the one before was answered: an answer's time counts from when the message
was due. Memory is the receiver's resident set, read twice a second.
"""

import argparse
import http.client
import itertools
import json
import statistics
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from roadie.triggers.journal.journal import Journal
from tests.servers.kfp_api import serving
from tests.servers.process import free_port
from tests.servers.receiver import Receiver, alert, payload, post

RESULTS = Path(__file__).parent / "results" / "triggers.json"
CONNECTIONS = 16
GROUP = 2000
# What is to be reached.
MOST_SECONDS_A_GROUP = 1.0
MOST_SECONDS_P99 = 0.1
MOST_GROWTH = 0.05  # of memory, from the second third of the load, when caches are full, to the last


@dataclass(frozen=True)
class Load:
    """What a steady load came to: seconds to the answers, and the receiver's memory over it in bytes."""

    sent: int
    lost: int
    p50: float
    p99: float
    longest: float
    memory: list[int]

    @property
    def growth(self) -> float:
        """By how much of itself memory grew from the second third of the load to the last."""
        third = len(self.memory) // 3
        return statistics.median(self.memory[-third:]) / statistics.median(self.memory[third:-third]) - 1


def group(receiver: Receiver) -> tuple[float, int]:
    """Seconds to the answer to one message of many alerts, and its bytes."""
    body = payload([alert(f"aaaa{number:012x}", pod=f"jukebox-{number}", padding="x" * 100) for number in range(GROUP)])
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)
    began = time.perf_counter()
    status, answer = post(connection, body)
    seconds = time.perf_counter() - began
    connection.close()
    assert (status, answer["new"]) == (200, GROUP), answer
    return seconds, len(body)


def load(receiver: Receiver, rate: int, seconds: int) -> Load:
    """Send `rate` alerts a second for `seconds`."""
    numbers, lock = itertools.count(), threading.Lock()
    times: list[float] = []
    failures = 0
    begin = time.perf_counter() + 0.5

    def send() -> None:
        nonlocal failures
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)
        connection.connect()
        while True:
            with lock:
                number = next(numbers)
            due = begin + number / rate
            if number >= rate * seconds:
                break
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                status, _ = post(connection, payload([alert(f"bbbb{number:012x}")]))
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            with lock:
                times.append(time.perf_counter() - due)
                failures += status != 200
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        memory.append(resident(receiver))
        time.sleep(0.5)
    p50, p99 = (statistics.quantiles(times, n=100)[place - 1] for place in (50, 99))
    return Load(len(times), failures, p50, p99, max(times), memory)


def resident(receiver: Receiver) -> int:
    """The receiver's resident set, in bytes."""
    assert receiver.process
    assert receiver.process.poll() is None, f"the receiver ended with {receiver.process.returncode}"
    status = Path(f"/proc/{receiver.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rate", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(seconds_pending=0.0, seconds_running=5.0) as api:
        runs = {"where": "cluster", "endpoint": api.url}
        config = {"runs": runs, "models": {"jukebox": {"pipeline": "tiny.yaml", "max_active": 4}}}
        receiver = Receiver(Path(folder), free_port(), config)
        began = time.perf_counter()
        receiver.start()
        try:
            receiver.wait()
            up = time.perf_counter() - began
            seconds, size = group(receiver)
            steady = load(receiver, options.rate, options.seconds)
        finally:
            receiver.stop()
        journal = Journal(Path(folder) / "journal.db")
        stored = len(journal.timeline(10_000_000))
        journal.close()
    lost = GROUP + steady.sent - stored + steady.lost
    report(up, seconds, size, steady, lost)


def report(up: float, seconds: float, size: int, steady: Load, lost: int) -> None:
    """The table on standard output, and all numbers in bench/results."""
    lines = [
        (f"a message of {GROUP:,} alerts ({size / 1e3:.0f} kB), s", seconds, MOST_SECONDS_A_GROUP),
        (f"p99 of {steady.sent:,} messages, s", steady.p99, MOST_SECONDS_P99),
        ("events lost", lost, 0),
        ("growth of memory", steady.growth, MOST_GROWTH),
    ]
    print(f"{'':48} {'':>8} {'target':>8}")
    for what, measured, most in lines:
        print(f"{what:48} {measured:8.3f} {most:8.2f} {'reached' if measured <= most else 'MISSED'}")
    memory = f"{min(steady.memory) / 1e6:.0f} to {max(steady.memory) / 1e6:.0f} MB"
    print(f"median {steady.p50 * 1e3:.1f} ms, longest {steady.longest * 1e3:.0f} ms, {memory}, up after {up:.2f} s")
    RESULTS.parent.mkdir(exist_ok=True)
    numbers = {"seconds_to_start": up, "seconds_for_group": seconds, "bytes_of_group": size, "lost": lost}
    RESULTS.write_text(json.dumps({**numbers, "steady": asdict(steady)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
