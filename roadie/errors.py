"""Every error that Roadie raises on purpose.

One tree, so that a caller catches :class:`RoadieError` and nothing of requests, git, botocore or kubernetes leaks out.
Each message is one sentence that says what happened, to which thing, and what to do; no secret is ever in it.
"""


def why_no_yaml(error: Exception) -> str:
    """What PyYAML found, and in which line: its own text quotes a stream without a name, and what stands there."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    mark = getattr(error, "problem_mark", None)
    return f"{problem} in line {mark.line + 1}" if mark else str(problem)


class RoadieError(Exception):
    """What went wrong, to what, and what to do about it, in one sentence."""


class UsageError(RoadieError):
    """The command, parameter or configuration itself is wrong; nothing was tried."""


class DataError(RoadieError):
    """The tables cannot be read, or break a rule that training relies on."""


class TrainingError(RoadieError):
    """The hyperparameters or the training itself are unusable."""


class EvaluationError(RoadieError):
    """A model cannot be scored, or the gate's configuration is unusable."""


class ModelCarError(RoadieError):
    """A model or the steps' code cannot be made into an image, or one cannot be read."""


class RegistryError(ModelCarError):
    """The registry refused, failed or did not answer."""


class GitOpsError(RoadieError):
    """The GitOps repository or one of its files cannot be read or changed."""


class RolloutError(RoadieError):
    """The cluster did not come to serve the version, or could not be asked."""


class RunError(RoadieError):
    """A pipeline run could not be started, or ended in failure."""


class NewsError(RoadieError):
    """The news of a run could not be delivered; `what` says in a few words what the webhook did."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class TriggerError(RoadieError):
    """The receiver's configuration, journal or a sender's event is unusable."""
