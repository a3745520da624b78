"""Compile pipelines, run a compiled one, and follow what runs.

- :func:`compile_all` gives the text of every compiled component and pipeline; the same on every machine.
  :func:`within_budget` says how large a pipeline's run grows on a cluster, and refuses one that would die of it.
- :func:`load_pipeline` reads a compiled pipeline: its steps and its parameters with their types and defaults.
- :func:`run_here` runs it on this machine with kfp.local: the very bytes that a cluster would run, a line as each step
  starts and ends, a log for each step, and the step's own error when one fails.
- :class:`Cluster` and :class:`Here` are engines: they start runs, find them by name, look at them and stop them, on
  Kubeflow Pipelines or in processes of this machine that outlive the one that started them.
- :class:`StepImage` is what steps run in on a cluster, by digest.
- :func:`follow` waits for the end of a run on a cluster; :class:`Schedules` are its recurring runs, by name.

Nothing outside this room imports kfp, and this room imports it only in the functions that need it.
"""

from roadie.runs.budget import LIMIT, Growth, within_budget
from roadie.runs.cluster import Cluster
from roadie.runs.compiling import compile_all, differences, write
from roadie.runs.connection import token_in
from roadie.runs.defaults import with_embedded_defaults
from roadie.runs.engine import ENDED, Engine, Run, RunRefusedError
from roadie.runs.following import follow
from roadie.runs.here import Here
from roadie.runs.local import run_here
from roadie.runs.outcome import Outcome, StepRun
from roadie.runs.pipeline import Parameter, Pipeline, load_pipeline, parse_arguments
from roadie.runs.schedules import Change, Schedule, Schedules
from roadie.runs.step_image import REVISION, StepImage
from roadie.runs.submission import require_real_places

__all__ = [
    "ENDED",
    "LIMIT",
    "REVISION",
    "Change",
    "Cluster",
    "Engine",
    "Growth",
    "Here",
    "Outcome",
    "Parameter",
    "Pipeline",
    "Run",
    "RunRefusedError",
    "Schedule",
    "Schedules",
    "StepImage",
    "StepRun",
    "compile_all",
    "differences",
    "follow",
    "load_pipeline",
    "parse_arguments",
    "require_real_places",
    "run_here",
    "token_in",
    "with_embedded_defaults",
    "within_budget",
    "write",
]
