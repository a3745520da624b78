"""The child process that runs a compiled pipeline with kfp.local and tells its parent what happens.

It reads one JSON object on standard input (pipeline, arguments, root, logs) and writes one JSON object a line to the
file descriptor in its argument: ``{"event": "start" | "end", ...}``. kfp.local has no progress hook, prints everything
to standard output and keeps a step's outputs to itself; so the two functions that run a step (one knows its task, the
other has its outputs) are wrapped here, in a process of its own, where nothing else is disturbed by it.

The turns of a loop, and tasks that share a component, have one folder with kfp.local. Each gets its own here.
"""

import contextlib
import io
import itertools
import json
import os
import select
import signal
import sys
import threading
import time
import types
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

import yaml

from roadie.runs.pipeline import yaml_loader
from roadie.runs.submission import tasks


class _PerThread(io.TextIOBase):
    """A standard output that goes where the thread that writes wants it to."""

    def __init__(self, otherwise: TextIO) -> None:
        self._otherwise = otherwise
        self._own = threading.local()

    def write(self, text: str) -> int:
        return int(getattr(self._own, "file", self._otherwise).write(text))

    def flush(self) -> None:
        getattr(self._own, "file", self._otherwise).flush()

    @contextlib.contextmanager
    def into(self, path: Path) -> Any:
        """Write to `path` in this thread, until the block ends."""
        with path.open("a", encoding="utf-8") as self._own.file:
            try:
                yield
            finally:
                del self._own.file


def main() -> int:
    """Run the pipeline that standard input describes; 0 when it succeeded, 1 when a step failed."""
    job = json.load(sys.stdin)
    with os.fdopen(int(sys.argv[1]), "w", buffering=1, encoding="utf-8") as events:
        threading.Thread(target=_end_with_the_reader, args=(events.fileno(),), daemon=True).start()
        leave_out_the_client()
        from kfp import components, local

        # What steps run in here is this environment, whatever image they name, and display names are told by Roadie.
        warnings.filterwarnings("ignore", module=r"kfp\.local")
        _report_steps(events, Path(job["logs"]))
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=job["root"], raise_on_error=True)
        try:
            components.load_component_from_text(_once(Path(job["pipeline"])))(**job["arguments"])
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def leave_out_the_client() -> None:
    """Let kfp be imported without its client: no cluster is asked here, and its libraries take five times the rest."""
    client = types.ModuleType("kfp.client")
    vars(client)["Client"] = None
    sys.modules[client.__name__] = client


def _once(pipeline: Path) -> str:
    """The pipeline's YAML without its retries: no pod is lost here, and what fails here fails again."""
    documents = list(yaml.load_all(pipeline.read_text(encoding="utf-8"), Loader=yaml_loader()))
    for task in tasks(documents[0]):
        task.pop("retryPolicy", None)
    return yaml.dump_all(documents, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))


def _end_with_the_reader(events: int) -> None:
    """End this process and its steps, all of one group, as soon as nobody reads what it tells: its parent is dead."""
    watch = select.poll()
    watch.register(events, 0)
    watch.poll()
    os.killpg(0, signal.SIGTERM)


def _report_steps(events: TextIO, logs: Path) -> None:
    from kfp.local import status, task_dispatcher
    from kfp.local.orchestrator import task_executor

    run_task, run_step = task_executor.execute_single_task, task_dispatcher.run_single_task_implementation
    output = _PerThread(sys.stdout)
    sys.stdout = output
    numbers, turns, runs, lock = itertools.count(1), Counter[str](), Counter[str](), threading.Lock()
    current = threading.local()

    def emit(**event: Any) -> None:
        with lock:
            events.write(json.dumps(event) + "\n")

    def remembering(*positional: Any, **arguments: Any) -> Any:
        current.task = str(arguments["task_name"]).partition("-iteration-")[0]
        return run_task(*positional, **arguments)

    def reporting(*positional: Any, **arguments: Any) -> Any:
        component = str(arguments["component_name"])
        # A compiled step alone has no orchestrator, and its task is called like its component.
        task = getattr(current, "task", component.removeprefix("comp-"))
        with lock:
            number = next(numbers)
            turns[task] += 1
            runs[component] += 1
            turn, run = turns[task], runs[component]
        log = logs / f"{number:03}-{component.removeprefix('comp-')}.log"
        if run > 1:
            arguments["pipeline_root"] = str(Path(arguments["pipeline_root"]) / f"turn-{run}")
        emit(event="start", number=number, task=task, turn=turn, log=str(log))
        began = time.monotonic()
        with output.into(log):
            outputs, state = run_step(*positional, **{**arguments, "raise_on_error": False})
        emit(
            event="end",
            number=number,
            state="succeeded" if state == status.Status.SUCCESS else "failed",
            seconds=time.monotonic() - began,
            outputs={name: _plain(value) for name, value in outputs.items()},
        )
        return outputs, state

    task_executor.execute_single_task = remembering
    task_dispatcher.run_single_task_implementation = reporting


def _plain(value: Any) -> Any:
    """A step's output as JSON: parameters as they are, artifacts as their type, place and metadata."""
    if hasattr(value, "uri"):
        return {"type": value.schema_title, "path": value.path, "metadata": dict(value.metadata)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
