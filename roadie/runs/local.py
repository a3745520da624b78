"""Run a compiled pipeline on this machine."""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from roadie.errors import RunError
from roadie.runs.outcome import Outcome, StepRun, with_skipped
from roadie.runs.pipeline import Pipeline

Listener = Callable[[StepRun], None]

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_UNINSTALLED = re.compile(r"^\s*ERROR: No matching distribution found for (.+)$", re.MULTILINE)
_RAISED = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*): (?P<message>.*)$")


def run_here(
    pipeline: Pipeline, arguments: Mapping[str, Any], state: Path, listener: Listener = lambda _step: None
) -> Outcome:
    """Run `pipeline` with `arguments` through kfp.local and return what it came to, failed or not.

    Args:
        pipeline: The compiled pipeline.
        arguments: Its arguments by name; those left out have the pipeline's defaults.
        state: The folder below which the run's artifacts and logs are kept, one folder a run.
        listener: Called with each step as it starts (state ``running``) and ends.

    Raises:
        RunError: the run could not even be started.
    """
    if " " in sys.executable:
        raise RunError(
            f"{sys.executable} has a space in its path, which kfp.local cannot run: make the environment elsewhere"
        )
    folder = _new_folder(state / "runs", pipeline.name)
    steps: dict[int, StepRun] = {}
    code = 0
    for event in _events(pipeline, arguments, folder):
        if event["event"] == "exit":
            code = event["code"]
            continue
        if event["event"] == "start":
            step = _started(pipeline, event)
        else:
            step = _ended(steps[event["number"]], {**event, "outputs": _with_pages(event["outputs"], folder)})
        steps[event["number"]] = step
        listener(step)
    failed = any(step.state == "failed" for step in steps.values())
    # A worker that was killed in the middle of a step leaves it running for ever: no step failed, but the run did.
    if code != 0 and not failed:
        log = folder / "worker.log"
        raise RunError(
            f"the pipeline {pipeline.name} could not be run: {error_in(log.read_text(errors='replace'))} "
            f"(exit code {code}); the whole output is in {log}"
        )
    outcome = Outcome("failed" if failed else "succeeded", with_skipped(steps.values(), pipeline.steps), folder)
    with contextlib.suppress(OSError):  # a full disk must not take from the caller what the run came to
        (folder / "outcome.json").write_text(json.dumps(outcome.to_dict(), indent=2), encoding="utf-8")
    return outcome


def _new_folder(runs: Path, name: str) -> Path:
    """A folder of its own for the run; its name sorts by time."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        folder = runs / (f"{name}-{stamp}" + (f"-{attempt}" if attempt else ""))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(
                f"cannot make the run's folder {folder}: {error.strerror}; choose another with --state"
            ) from error
        (folder / "logs").mkdir()
        return folder.resolve()
    raise RunError(f"there are 1,000 runs of {name} in this second in {runs}: remove some")


def _events(pipeline: Pipeline, arguments: Mapping[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """What the worker tells, as it tells it, and at the end its exit code."""
    # KFP and its steps leave folders where temporary ones are made.
    with _temporary() as temporary:
        yield from _told_in(temporary, pipeline, arguments, folder)


@contextlib.contextmanager
def _temporary() -> Iterator[str]:
    try:
        made = tempfile.TemporaryDirectory(prefix="roadie-run-", ignore_cleanup_errors=True)
    except OSError as error:
        raise RunError(f"no temporary folder can be made ({error.strerror}): make room, or set TMPDIR") from error
    with made as path:
        yield path


def _told_in(
    temporary: str, pipeline: Pipeline, arguments: Mapping[str, Any], folder: Path
) -> Iterator[dict[str, Any]]:
    job = {
        "pipeline": str(pipeline.path.resolve()),
        "arguments": dict(arguments),
        "root": str(folder / "artifacts"),
        "logs": str(folder / "logs"),
    }
    reading, writing = os.pipe()
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "roadie.runs.worker", str(writing)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            env={**_environment(os.environ), "TMPDIR": temporary},
            # A group of its own, so that an interrupt here ends the steps, too, and ends them once.
            start_new_session=True,
        )
    os.close(writing)
    try:
        with worker.stdin as stdin:  # type: ignore[union-attr]
            stdin.write(json.dumps(job).encode())
        with os.fdopen(reading, encoding="utf-8") as events:
            for line in events:
                yield json.loads(line)
        yield {"event": "exit", "code": worker.wait()}
    finally:
        _stop(worker)


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment: pip must find what is installed here and nothing else, at once."""
    binaries = str(Path(sys.executable).parent)
    return {
        **environment,
        "PATH": os.pathsep.join([binaries, environment.get("PATH", os.defpath)]),
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _stop(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is not None:
        return
    os.killpg(worker.pid, signal.SIGTERM)
    try:
        worker.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def _with_pages(outputs: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The outputs, with each HTML artifact copied to where a browser opens it as such: KFP gives it no suffix."""
    placed = dict(outputs)
    for name, value in outputs.items():
        if isinstance(value, Mapping) and value.get("type") == "system.HTML" and Path(value["path"]).is_file():
            page = folder / f"{name}.html"
            shutil.copyfile(value["path"], page)
            placed[name] = {**value, "path": str(page)}
    return placed


def _started(pipeline: Pipeline, event: Mapping[str, Any]) -> StepRun:
    key, turn = event["task"], event["turn"]
    step = pipeline.steps[key]
    return StepRun(
        step.name + (f" ({turn})" if turn > 1 else ""), step.component, "running", task=key, log=event["log"]
    )


def _ended(step: StepRun, event: Mapping[str, Any]) -> StepRun:
    error = ""
    if event["state"] == "failed":
        log = Path(step.log).read_text(encoding="utf-8", errors="replace")
        error = _uninstalled(log) or error_in(log)
    return replace(step, state=event["state"], seconds=event["seconds"], outputs=event["outputs"], error=error)


def _uninstalled(log: str) -> str:
    """What a step of somebody else's asked pip for in vain, and what to do; empty where it asked for nothing."""
    wanted = _UNINSTALLED.search(_ANSI.sub("", log))
    if not wanted:
        return ""
    return (
        f"it wants {wanted[1].strip()}, which is not installed here, and runs here install nothing: install it beside "
        "Roadie where the two go together, else compile the pipeline for what is here, or run it with --cluster"
    )


def error_in(log: str) -> str:
    """The step's own error in what KFP printed around it.

    The last exception of the last traceback; for Roadie's own errors only the sentence. Without a traceback (a killed
    process, pip) the last line that says something.
    """
    lines = [_ANSI.sub("", line).strip() for line in log.splitlines()]
    said = [line for line in lines if line and not _is_of_kfp(line)]
    raised = [found for line in said if (found := _RAISED.match(line)) and _is_exception(found["kind"])]
    if raised:
        last = raised[-1]
        return last["message"] if last["kind"].startswith("roadie.") else last[0]
    return said[-1] if said else "it ended without a word"


def _is_exception(kind: str) -> bool:
    name = kind.rpartition(".")[2]
    return kind.startswith("roadie.errors.") or name.endswith(("Error", "Exception", "Interrupt", "Exit"))


def _is_of_kfp(line: str) -> bool:
    return set(line) == {"-"} or bool(re.match(r"\d\d:\d\d:\d\d\.\d{3} - (INFO|ERROR|WARNING) - ", line))
