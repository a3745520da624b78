"""The child process that runs a compiled pipeline with kfp.local and tells its parent what happens.

It reads one JSON object on standard input (pipeline, arguments, root, logs) and writes one JSON object a line to the
file descriptor in its argument: ``{"event": "start" | "end", ...}``. kfp.local has no progress hook, prints everything
to standard output and keeps a step's outputs to itself; so the one function that runs a step is wrapped here, in a
process of its own, where nothing else is disturbed by it.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO


def main() -> int:
    """Run the pipeline that standard input describes; 0 when it succeeded, 1 when a step failed."""
    job = json.load(sys.stdin)
    with os.fdopen(int(sys.argv[1]), "w", buffering=1, encoding="utf-8") as events:
        from kfp import components, local

        _report_steps(events, Path(job["logs"]))
        local.init(local.SubprocessRunner(use_venv=False), pipeline_root=job["root"], raise_on_error=True)
        try:
            components.load_component_from_file(job["pipeline"])(**job["arguments"])
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _report_steps(events: TextIO, logs: Path) -> None:
    from kfp.local import status, task_dispatcher

    run_step = task_dispatcher.run_single_task_implementation

    def emit(**event: Any) -> None:
        events.write(json.dumps(event) + "\n")

    def reporting(*positional: Any, **arguments: Any) -> Any:
        component = str(arguments["component_name"])
        log = logs / f"{component.removeprefix('comp-')}.log"
        emit(event="start", component=component, log=str(log))
        began = time.monotonic()
        with log.open("a", encoding="utf-8") as output, contextlib.redirect_stdout(output):
            outputs, state = run_step(*positional, **{**arguments, "raise_on_error": False})
        succeeded = state == status.Status.SUCCESS
        emit(
            event="end",
            component=component,
            state="succeeded" if succeeded else "failed",
            seconds=time.monotonic() - began,
            outputs={name: _plain(value) for name, value in outputs.items()},
        )
        return outputs, state

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
