"""`wait` as it was before there were verdicts; it goes when components/wait_for_rollout.py has moved."""

from typing import Any, overload

from roadie.errors import RolloutError
from roadie.rollout.target import Target, Verdict, Wanted
from roadie.rollout.waiting import wait as wait_for


@overload
def wait(target: str, wanted: str, *, version: str, digest: str, timeout: float) -> str: ...
@overload
def wait(target: Target, wanted: Wanted, **options: Any) -> Verdict: ...
def wait(target: Any, wanted: Any, **options: Any) -> Any:
    """See :func:`roadie.rollout.waiting.wait`; with two names instead, ``ready``, ``skipped`` or a RolloutError."""
    if isinstance(target, Target):
        return wait_for(target, wanted, **options)
    named = Wanted(options["version"], options["digest"])
    verdict = wait_for(Target(target, wanted), named, timeout=options["timeout"])
    if verdict.outcome not in {"healthy", "skipped"}:
        raise RolloutError(f"InferenceService {wanted}/{target} does not serve {named.version}: {verdict.reason}")
    return {"healthy": "ready"}.get(verdict.outcome, verdict.outcome)
