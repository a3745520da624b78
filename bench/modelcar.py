"""How fast a model gets into a registry: Roadie beside the tools that people use, against a real one on loopback.

`python bench/modelcar.py --setup` gets the other tools; `python bench/modelcar.py` measures what is there, prints a
table and writes bench/results/modelcar.json. The tools take turns within every round, each with a fresh store and
freshly touched files, so that a busy machine troubles all alike; a number is the median of the rounds.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from _modelcar import tools
from _modelcar.tools import Place, Tool

from tests.servers.process import free_port, running

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "modelcar.json"
MEBIBYTE = 1 << 20
EVERY_TOOL = [
    *(tools.ROADIE, tools.OCI_MODELCAR, tools.OLOT_SKOPEO),
    *(tools.OLOT_PRESERVE, tools.OLOT_ORAS, tools.BUILDAH),
]
REPEATERS = [tools.ROADIE, tools.ROADIE_ELSEWHERE, tools.OCI_MODELCAR, tools.OLOT_SKOPEO]
DRAINED = [tools.ROADIE, tools.OCI_MODELCAR, tools.SKOPEO_LAYOUT]


@dataclass(frozen=True)
class Workload:
    """A model and the tools that push it. `again` is what happens between an unmeasured and the measured push."""

    name: str
    model: str
    tools: list[Tool]
    again: str = ""
    sink: bool = False


WORKLOADS = [
    Workload("small: 5 MB ONNX and 3 files", "small", [*EVERY_TOOL, tools.ROADIE_COMMAND]),
    Workload("4 x 256 MiB", "shards", EVERY_TOOL),
    Workload("1 x 2 GiB", "large", EVERY_TOOL),
    Workload("4 x 256 MiB again, unchanged", "shards", REPEATERS, again="unchanged"),
    Workload("4 x 256 MiB again, one small file changed", "shards", REPEATERS, again="changed"),
    Workload("4 x 256 MiB into a sink", "shards", DRAINED, sink=True),
]
# The most that Roadie's median may be of another tool's: (workload, tool) -> ratio.
TARGETS = {
    (1, "oci-modelcar"): 0.65,
    (1, "olot + skopeo"): 0.38,
    (2, "oci-modelcar"): 0.70,
    (2, "olot + skopeo"): 0.55,
    (0, "oci-modelcar"): 0.50,
    (0, "olot + skopeo"): 0.50,
    (3, "oci-modelcar"): 0.25,
    (4, "oci-modelcar"): 0.25,
    (5, "oci-modelcar"): 0.40,
    (5, "skopeo, layout ready"): 0.35,
}


@dataclass(frozen=True)
class Measured:
    """One push: seconds, bytes, and the digest it ended with."""

    wall: float
    cpu: float
    rss: int
    written: int
    uploaded: int
    digest: str


def make_models(directory: Path) -> None:
    """The three models; random bytes, which no compression helps with."""
    sizes = {
        "shards": {**{f"weights-{number}.bin": 256 * MEBIBYTE for number in range(4)}, "labels.json": 20},
        "large": {"weights.bin": 2048 * MEBIBYTE},
        "small": {"labels.json": 2000, "features.json": 500, "card.md": 5000},
    }
    for model, files in sizes.items():
        (directory / model).mkdir()
        for name, size in files.items():
            with (directory / model / name).open("wb") as file:
                for start in range(0, size, MEBIBYTE):
                    file.write(os.urandom(min(MEBIBYTE, size - start)))
    _write_onnx(directory / "small" / "1" / "model.onnx")


def _write_onnx(path: Path) -> None:
    """A matrix product with 5 MB of weights, in a process of its own, so that this one stays small."""
    code = f"""
import numpy, onnx
from onnx import helper, numpy_helper
weights = numpy.random.default_rng(0).standard_normal((1250, 1000)).astype("float32")
kind = onnx.TensorProto.FLOAT
x = helper.make_tensor_value_info("x", kind, [None, 1250])
y = helper.make_tensor_value_info("y", kind, [None, 1000])
node = helper.make_node("MatMul", ["x", "w"], ["y"])
graph = helper.make_graph([node], "product", [x], [y], [numpy_helper.from_array(weights, "w")])
onnx.save(helper.make_model(graph), {str(path)!r})
"""
    path.parent.mkdir()
    subprocess.run([sys.executable, "-c", code], check=True)


@contextlib.contextmanager
def registry(directory: Path) -> Iterator[tuple[str, Path]]:
    """A fresh docker-registry: its address, and where it stores.

    In memory, if there is enough: its disk is the same for all, and slower than what is to be measured.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(dir=_roomy(directory)) as storage:
        yield from _serve(directory, Path(storage), port)


def _roomy(directory: Path) -> Path:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 6 << 30 else directory


def _serve(directory: Path, storage: Path, port: int) -> Iterator[tuple[str, Path]]:
    configuration = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "bench"},
    }
    (directory / "registry.yml").write_text(json.dumps(configuration))
    command = ["docker-registry", "serve", str(directory / "registry.yml")]
    with running(command, port, directory / "registry.log", env={"OTEL_TRACES_EXPORTER": "none"}):
        _warm_up(f"http://127.0.0.1:{port}")
        yield f"127.0.0.1:{port}", storage


def _warm_up(registry: str) -> None:
    """One upload, so that the first requests that are measured are not the first ones of all."""
    start = urllib.request.Request(f"{registry}/v2/warm/up/blobs/uploads/", method="POST")
    with urllib.request.urlopen(start) as answer:
        session = answer.headers["Location"]
    blob = os.urandom(MEBIBYTE)
    url = f"{session}&digest=sha256:{hashlib.sha256(blob).hexdigest()}"
    headers = {"Content-Type": "application/octet-stream"}
    urllib.request.urlopen(urllib.request.Request(url, blob, headers, method="PUT")).close()


@contextlib.contextmanager
def sink(directory: Path) -> Iterator[tuple[str, Path]]:
    """A server that takes all and keeps nothing."""
    port = free_port()
    command = [sys.executable, str(HERE / "_modelcar/sink.py"), str(port), str(directory)]
    with running(command, port, directory / "sink.log"):
        yield f"127.0.0.1:{port}", directory / "nothing"


def measure(workload: Workload, tool: Tool, models: Path) -> Measured:
    """One push (the second one, where the workload says so) by one tool into a fresh store."""
    model = models / workload.model
    for path in model.rglob("*"):
        os.utime(path)
    with tempfile.TemporaryDirectory(dir=models) as directory:
        scratch = Path(directory)
        with (sink if workload.sink else registry)(scratch) as (host, storage):
            place = Place(model, host, "bench/model", "v1", scratch)
            if tool is tools.SKOPEO_LAYOUT:
                _run(tools.ROADIE, Place(model, "oci:" + str(scratch / "layout"), "", "v1", scratch))
            if workload.again:
                _run(tool, place)
            if workload.again == "changed":
                (model / "labels.json").write_bytes(os.urandom(10).hex().encode())
                place = Place(model, host, "bench/model", "v2", scratch)
            before = _size(storage)
            took = _run(tool, place)
            return Measured(uploaded=_size(storage) - before, **took)


def _run(tool: Tool, place: Place) -> dict[str, object]:
    output, scratch = place.scratch / "output", place.scratch
    environment = {**os.environ, "TMPDIR": str(scratch), "HOME": str(scratch), "XDG_CACHE_HOME": str(scratch / "cache")}
    command = [sys.executable, "-S", "-E", str(HERE / "_modelcar/measure.py"), str(output), *tool.command(place)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    took = json.loads(done.stdout)
    said = output.read_text(errors="replace")
    if took.pop("code"):
        raise RuntimeError(f"{tool.name} failed: {said[-2000:]}")
    found = re.findall(r"sha256:[0-9a-f]{64}", said)
    return {**took, "digest": found[-1] if found else ""}


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def summary(rounds: list[Measured]) -> dict[str, object]:
    """Medians, and whether every round ended with the same digest."""
    medians = {
        name: statistics.median(getattr(item, name) for item in rounds)
        for name in ("wall", "cpu", "rss", "written", "uploaded")
    }
    return {
        **medians,
        "same_digest": len({item.digest for item in rounds}) == 1,
        "rounds": [asdict(item) for item in rounds],
    }


def show(number: int, workload: Workload, results: dict[str, dict[str, object]]) -> None:
    """A table of one workload."""
    print(f"\n{workload.name}")
    print(
        f"  {'':34}{'wall s':>8}{'cpu s':>8}{'RSS MB':>8}{'temp MiB':>10}{'sent MiB':>10}  {'same':6}{'ratio':>6}  goal"
    )
    ours = float(str(results["roadie"]["wall"]))
    for name, row in results.items():
        wall, cpu, rss, written, uploaded = (
            float(str(row[key])) for key in ("wall", "cpu", "rss", "written", "uploaded")
        )
        goal = TARGETS.get((number, name))
        verdict = f"{ours / wall:6.2f} {f'{goal:5.2f}' if goal else '     '}" + (
            "" if not goal or ours <= goal * wall else " !"
        )
        same = "-" if workload.again == "changed" else "yes" if row["same_digest"] else "no"
        numbers = f"{wall:8.2f}{cpu:8.2f}{rss / 1e6:8.0f}{written / MEBIBYTE:10.1f}{uploaded / MEBIBYTE:10.1f}"
        print(f"  {name:34}{numbers}  {same:6}{verdict}")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--setup", action="store_true", help="get the other tools into throwaway environments, and stop"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--workload", type=int, action="append", choices=range(len(WORKLOADS)), help="its number, from 0"
    )
    parser.add_argument("--tool", action="append", help="its name; Roadie is always measured")
    arguments = parser.parse_args()
    if arguments.setup:
        tools.set_up()
        return
    if not shutil.which("docker-registry"):
        sys.exit(f"There is no docker-registry to push to: {tools.SET_UP}")
    for tool in {tool.name: tool for workload in WORKLOADS for tool in workload.tools}.values():
        if tool.missing:
            print(f"not measured: {tool.name} needs {', '.join(tool.missing)} ({tools.SET_UP})")
    RESULTS.parent.mkdir(exist_ok=True)
    # A run of some workloads leaves the results of the others.
    everything: dict[str, dict[str, dict[str, object]]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory(prefix="roadie-bench-", dir=os.environ.get("TMPDIR")) as directory:
        make_models(Path(directory))
        for number, workload in enumerate(WORKLOADS):
            if arguments.workload and number not in arguments.workload:
                continue
            asked = {*(arguments.tool or [tool.name for tool in workload.tools]), "roadie"}
            chosen = [tool for tool in workload.tools if tool.name in asked and not tool.missing]
            measured: dict[str, list[Measured]] = {tool.name: [] for tool in chosen}
            for start in range(arguments.rounds):
                # Whoever comes after a tool that wrote much meets a disk that is still busy: all take turns at that.
                first = start % len(chosen)
                for tool in chosen[first:] + chosen[:first]:
                    measured[tool.name].append(measure(workload, tool, Path(directory)))
            everything[workload.name] = {name: summary(rounds) for name, rounds in measured.items()}
            show(number, workload, everything[workload.name])
            RESULTS.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
