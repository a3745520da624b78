"""Compile pipelines, and run a compiled one.

- :func:`compile_all` gives the text of every compiled component and pipeline; the same on every machine.
- :func:`load_pipeline` reads a compiled pipeline: its steps and its parameters with their types and defaults.
- :func:`run_here` runs it on this machine with kfp.local: the very bytes that a cluster would run, a line as each step
  starts and ends, a log for each step, and the step's own error when one fails.

Nothing outside this room imports kfp, and this room imports it only in the functions that need it.
"""

from roadie.runs.compiling import compile_all, differences, write
from roadie.runs.defaults import with_embedded_defaults
from roadie.runs.local import run_here
from roadie.runs.outcome import Outcome, StepRun
from roadie.runs.pipeline import Parameter, Pipeline, load_pipeline, parse_arguments

__all__ = [
    "Outcome",
    "Parameter",
    "Pipeline",
    "StepRun",
    "compile_all",
    "differences",
    "load_pipeline",
    "parse_arguments",
    "run_here",
    "with_embedded_defaults",
    "write",
]
