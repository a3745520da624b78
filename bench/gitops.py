"""How fast a version gets into a large GitOps repository: Roadie beside a clone, a YAML round trip and a push.

    python bench/gitops.py [--rounds 7]

The repository has about 70 MB, 3,000 commits and 5,000 files, and is served over HTTP with a password by git's own
http-backend on loopback. Every tool is a fresh Python process and pushes one new version per round; the tools take
turns, and a number is the median of the rounds. Bytes are those of the HTTP bodies, both ways.
"""

import argparse
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.servers.git_http import GitServer, git, serving

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "gitops.json"
RUAMEL = "ruamel.yaml==0.19.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "roadie" / RUAMEL
FILE, KEY = "environments/test/values.yaml", "applications.jukebox.values.version"
VALUES = (HERE.parent / "examples" / "mlops-gitops" / "test" / "values.yaml").read_bytes()
FILES, COMMITS, HOT = 5000, 3000, 200
SMALL, LARGE = 2_000, 19_000


@dataclass(frozen=True)
class Tool:
    """A name and the script with its options; `target` is the most that Roadie's median may be of this one's."""

    name: str
    script: str
    options: tuple[str, ...] = ()
    target: float | None = None


ROADIE = Tool("roadie", "roadie_bump.py")
TOOLS = [
    ROADIE,
    Tool("full clone + ruamel + push", "clone_and_ruamel.py", target=0.2),
    Tool("depth-1 clone + ruamel + push", "clone_and_ruamel.py", ("--depth=1",), target=0.6),
]
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Measured:
    """One bump: seconds of wall time, and bytes of HTTP bodies."""

    seconds: float
    bytes: int


def history() -> Iterator[bytes]:
    """The repository as git fast-import reads it; its files are noise, of which a quarter compresses."""
    rng = random.Random(0)
    paths = [f"environments/env-{n % 50}/app-{n}.yaml" for n in range(FILES - 1)]
    for number in range(COMMITS):
        stamp = f"Bench <bench@example.com> {1_700_000_000 + number * 60} +0000"
        yield f"commit refs/heads/main\ncommitter {stamp}\ndata 11\nCommit {number:04}\n".encode()
        if number == 0:
            yield b"M 100644 inline " + FILE.encode() + b"\ndata %d\n" % len(VALUES) + VALUES + b"\n"
        for path in paths if number == 0 else [paths[rng.randrange(HOT)]]:
            text = base64.b64encode(rng.randbytes(SMALL if number == 0 else LARGE))
            yield b"M 100644 inline " + path.encode() + b"\ndata %d\n" % len(text) + text + b"\n"


def make_repository(server: GitServer) -> str:
    """The large repository, repacked as a host would; its URL."""
    url = server.create("large.git")
    bare = server.root / "large.git"
    importer = subprocess.Popen(["git", "-C", str(bare), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert importer.stdin is not None
    for part in history():
        importer.stdin.write(part)
    importer.stdin.close()
    assert importer.wait() == 0
    git("-C", str(bare), "repack", "-adbq", "--window=2", "--depth=2")
    git("-C", str(bare), "commit-graph", "write", "--reachable")
    return url


def measure(tool: Tool, server: GitServer, url: str, version: str) -> Measured:
    """One bump by a fresh process."""
    pair = base64.b64encode(f"{server.username}:{server.password}".encode()).decode()
    header = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader"}
    header["GIT_CONFIG_VALUE_0"] = f"Authorization: Basic {pair}"
    access = server.environment if tool is ROADIE else header
    environment = {**os.environ, **access, "PYTHONPATH": f"{CACHE}{os.pathsep}{HERE.parent}"}
    command = [sys.executable, str(HERE / "_gitops" / tool.script), url, FILE, KEY, version, *tool.options]
    before, started = server.sent + server.received, time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return Measured(time.perf_counter() - started, server.sent + server.received - before)


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    if not CACHE.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(CACHE), RUAMEL]
        subprocess.run(command, check=True)
    measured: dict[str, list[Measured]] = {tool.name: [] for tool in TOOLS}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        url = make_repository(server)
        packs = sum(path.stat().st_size for path in (Path(folder) / "large.git").rglob("*.pack"))
        print(f"{packs / 1e6:.0f} MB, {COMMITS:,} commits, {FILES:,} files; median of {rounds} rounds")
        for number in range(rounds):
            for place, tool in enumerate(TOOLS):
                measured[tool.name].append(measure(tool, server, url, f"v{number}-{place}"))
    report(measured, packs)


def report(measured: dict[str, list[Measured]], packs: int) -> None:
    """The table on standard output, and all numbers in bench/results."""
    seconds = {name: statistics.median(item.seconds for item in items) for name, items in measured.items()}
    volume = {name: statistics.median(item.bytes for item in items) for name, items in measured.items()}
    print(f"{'':32} {'seconds':>8} {'bytes':>12} {'roadie is':>10}  target")
    for tool in TOOLS:
        ratio = seconds[ROADIE.name] / seconds[tool.name]
        verdict = "" if tool.target is None else f"{tool.target:.2f} {'reached' if ratio <= tool.target else 'MISSED'}"
        print(f"{tool.name:32} {seconds[tool.name]:8.2f} {volume[tool.name]:12,.0f} {ratio:10.2f}  {verdict}")
    reached = "reached" if volume[ROADIE.name] < MOST_BYTES else "MISSED"
    print(f"bytes of roadie: under {MOST_BYTES:,} {reached}")
    RESULTS.parent.mkdir(exist_ok=True)
    rounds = {name: [asdict(item) for item in items] for name, items in measured.items()}
    RESULTS.write_text(json.dumps({"pack_bytes": packs, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
