"""Whether anybody is told a lie when several push different models to one new tag of a real registry at one moment.

`python bench/races.py [ROUNDS]` lets 2 and then 10 processes race, and prints how many were told "pushed" while the tag
names another's model. The same is a short test in tests/integration/test_modelcar_races.py.
"""

import multiprocessing
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from roadie import modelcar
from roadie.errors import ModelCarError
from tests.servers.registry import RegistryServer, serve_registry


def pusher(connection: Connection, barrier: Any, folder: str) -> None:
    """Push what is in `folder` to each tag that comes, and send back the digest, or the sentence of a refusal."""
    while reference := connection.recv():
        barrier.wait()
        try:
            connection.send(modelcar.push(folder, reference, base="none").digest)
        except ModelCarError as error:
            connection.send(str(error))


def race(server: RegistryServer, folder: Path, pushers: int, rounds: int) -> tuple[int, int, list[str]]:
    """How many were told "pushed" in all, how many of these wrongly, and the sentences of all others."""
    barrier = multiprocessing.Barrier(pushers)
    ours: list[Connection] = []
    processes = []
    for number in range(pushers):
        model = folder / f"model-{pushers}-{number}"
        model.mkdir()
        (model / "weights").write_text(f"{pushers} {number}")
        here, there = multiprocessing.Pipe()
        processes.append(multiprocessing.Process(target=pusher, args=(there, barrier, str(model)), daemon=True))
        processes[-1].start()
        ours.append(here)
    told = lies = 0
    sentences: list[str] = []
    for number in range(rounds):
        reference = server.reference(f"races/{pushers}", f"v{number}")
        for connection in ours:
            connection.send(reference)
        answers = [connection.recv() for connection in ours]
        named = modelcar.resolve(reference)
        pushed = [answer for answer in answers if answer.startswith("sha256:")]
        told += len(pushed)
        lies += sum(answer != named for answer in pushed)
        sentences += [answer for answer in answers if not answer.startswith("sha256:")]
    for connection in ours:
        connection.send("")
    for process in processes:
        process.join()
    return told, lies, sentences


def main() -> None:
    """Race, and print one line for each number of pushers."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as place, serve_registry(Path(place, "registry")) as server:
        for pushers in (2, 10):
            told, lies, sentences = race(server, Path(place), pushers, rounds)
            print(f"{pushers} pushers, {rounds} rounds: {told} were told pushed, {lies} of them wrongly", flush=True)
            for sentence in sorted({sentence.split(" ", 1)[1][:20] for sentence in sentences}):
                print(f"  {sentence}")


if __name__ == "__main__":
    main()
