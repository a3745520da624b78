"""Evaluation: is the challenger really better than the champion, and can one show why.

`evaluate` scores both models with ONNX runtime, each in a process of its own, on the same holdout, compares them metric
by metric with a paired bootstrap over groups (songs), and decides by the gate: promote, reject, inconclusive or
unchanged, each with a sentence. It writes one HTML report that needs no network.

The gate (`GateConfig`) names a metric, a mode (superiority, or non-inferiority with a margin), how sure to be, floors,
and limits on size and latency. Without a champion the floors alone decide; NaN or a metric that cannot be computed
never promotes; a champion that cannot be scored is an EvaluationError. `group_digests` and `row_digests` make the files
that tell a gate which groups and rows a model was trained on. Nothing here knows about charts: `Columns` says what a
holdout's columns mean, and the models say which features and classes they have.
"""

from roadie.evaluation.bootstrap import Comparison
from roadie.evaluation.checks import Check
from roadie.evaluation.costs import Cost
from roadie.evaluation.decision import Decision
from roadie.evaluation.gate import GateConfig, parse_gate
from roadie.evaluation.holdout import Columns
from roadie.evaluation.judge import evaluate
from roadie.evaluation.leakage import GROUPS_FILE, ROWS_FILE, group_digests, row_digests
from roadie.evaluation.result import Evaluation
from roadie.evaluation.slices import Confusion, Slice

__all__ = [
    "GROUPS_FILE",
    "ROWS_FILE",
    "Check",
    "Columns",
    "Comparison",
    "Confusion",
    "Cost",
    "Decision",
    "Evaluation",
    "GateConfig",
    "Slice",
    "evaluate",
    "group_digests",
    "parse_gate",
    "row_digests",
]
