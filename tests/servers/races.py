"""Processes that push different models to one new tag of a real registry at one moment."""

import multiprocessing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from roadie import modelcar
from roadie.errors import ModelCarError
from tests.servers.registry import RegistryServer

_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Round:
    """What the tag names after a race, what those who were told "pushed" hold for it, and the others' sentences."""

    named: str
    told: list[str]
    sentences: list[str]

    @property
    def lies(self) -> int:
        """How many were told "pushed" while the tag names another's model."""
        return sum(digest != self.named for digest in self.told)


def race(server: RegistryServer, folder: Path, pushers: int, rounds: int) -> list[Round]:
    """Let that many processes push, all at once, to a new tag in each round."""
    barrier = _FORK.Barrier(pushers)
    ours: list[Connection] = []
    processes = []
    for number in range(pushers):
        model = folder / f"model-{pushers}-{number}"
        model.mkdir()
        (model / "weights").write_text(f"{pushers} {number}")
        here, there = _FORK.Pipe()
        processes.append(_FORK.Process(target=_push, args=(there, barrier, model), daemon=True))
        processes[-1].start()
        ours.append(here)
    found = []
    for number in range(rounds):
        reference = server.reference(f"races/of-{pushers}", f"v{number}")
        for connection in ours:
            connection.send(reference)
        answers = [str(connection.recv()) for connection in ours]
        told = [answer for answer in answers if answer.startswith("sha256:")]
        sentences = [answer for answer in answers if answer not in told]
        found.append(Round(modelcar.verify(reference).digest, told, sentences))
    for connection in ours:
        connection.send("")
    for process in processes:
        process.join()
    return found


def _push(connection: Connection, barrier: Any, model: Path) -> None:
    """Push to each tag that comes, and send back the digest, or the sentence of a refusal."""
    while reference := connection.recv():
        barrier.wait()
        try:
            connection.send(modelcar.push(model, reference, base="none").digest)
        except ModelCarError as error:
            connection.send(str(error))
