"""Run one step: ``python3 -m roadie.step components.train EXECUTOR_INPUT``, which is all that compiled YAML says.

KFP's launcher puts its executor input (JSON) in the place of ``{{$}}``, on a cluster as on this machine; the step's
code is what is installed here or in the step's image. A step is a function named after its module.
"""

import importlib
import json
import logging
import os
import sys
import time
from pathlib import Path

from roadie.errors import RoadieError, UsageError
from roadie.mounted import FOLDER, mounted

# What KFP itself sets in a pod: faces are plain functions then, and neither its compiler nor its client is imported.
RUNTIME = "_KFP_RUNTIME"
# The faces travel inside a wheel; in a checkout and in the steps' image they stand beside the package.
_SHIPPED = Path(__file__).resolve().parent / "_shipped"


def main(arguments: list[str]) -> int:
    """Run the step that the first argument names with the executor input in the second; 0 when it ended well.

    Roadie's own errors are one line; any other is a traceback, which names the line at fault.
    """
    # The log tells times in UTC, wherever the pod runs.
    logging.Formatter.converter = time.gmtime
    os.environ[RUNTIME] = "true"
    sys.path.append(str(_SHIPPED))
    try:
        for variable, value in mounted(FOLDER).items():
            os.environ.setdefault(variable, value)
        run(arguments[0], arguments[1])
    except RoadieError as error:
        print(f"{type(error).__module__}.{type(error).__qualname__}: {error}", file=sys.stderr)
        return 1
    return 0


def run(name: str, executor_input: str) -> None:
    """Run the step ``package.module`` with its executor input, and write its outputs to where that says.

    Raises:
        UsageError: there is no such step in what is installed here.
    """
    from kfp.dsl.executor import Executor

    try:
        module = importlib.import_module(name)
        function = getattr(module, name.rpartition(".")[2])
    except (ModuleNotFoundError, AttributeError) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else name
        if missing not in {name, name.partition(".")[0]}:
            raise
        raise UsageError(
            f"there is no step {name} in {sys.prefix}: run the pipeline with the image of the code that it was "
            "compiled from (`roadie image push` makes it)"
        ) from error
    Executor(executor_input=json.loads(executor_input), function_to_execute=function).execute()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
