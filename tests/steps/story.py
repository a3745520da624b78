"""A first version's way through all steps of the compiled training pipeline, and then back to it as the champion."""

from collections.abc import Mapping
from typing import Any

from tests.steps.launcher import Artifact, Done, Launcher

NONE: Mapping[str, Artifact] = {}


def tell(training: dict[str, Any], launcher: Launcher, repository: str, image: str) -> dict[str, Done]:
    """Run every step in order; what became of each, by its name. `repository` and `image` are as a step sees them."""
    done: dict[str, Done] = {}

    def run(step: str, parameters: dict[str, Any], artifacts: Mapping[str, Artifact] = NONE, name: str = "") -> Done:
        done[name or step] = launcher.run(training, step, parameters, artifacts)
        assert done[name or step].code == 0, done[name or step].log
        return done[name or step]

    git = {"gitops_repo": str(repository), "model_name": "jukebox"}
    found = run("find-champion", {**git, "image": image})
    loaded = run("load-charts", {"charts": "sample", "since": "", "until": ""})
    dataset = {"dataset": loaded.artifacts["dataset"]}
    run("check-data", {}, dataset)
    parts = run("split-data", {"split": {"share": 0.2}}, dataset)
    quick = {"trainer": "logistic", "iterations": 20}
    trained = run("train", {"hyperparameters": quick, "seed": 42, "sweep": []}, {"examples": parts.artifacts["train"]})
    judged = {
        "challenger": trained.artifacts["model"],
        "champion": found.artifacts["champion"],
        "holdout": parts.artifacts["holdout"],
        **dataset,
    }
    gate = {"gate": {"metric": "log_loss"}, "model_name": "jukebox"}
    decided = run("evaluate", gate, judged)
    pushed = run(
        "push-modelcar",
        {"image": image, "model_name": "jukebox", "revision": "0123456789abcdef0123456789abcdef01234567"},
        {"model": trained.artifacts["model"], "metrics": decided.artifacts["metrics"]},
    )
    version = {name: pushed.parameters[name] for name in ("version", "digest")}
    provenance = {"provenance": pushed.parameters["provenance"], "run": "1-2-3"}
    for environment, source in (("test", ""), ("stage", "test")):
        place = {**git, **version, "environment": environment}
        bumped = run("bump-version", {**place, **provenance, "source": source}, name=f"bump-{environment}")
        committed = {"commit": bumped.parameters["commit"], "in_place": bumped.parameters["in_place"]}
        samples = {"samples": decided.artifacts["samples"]}
        run("wait-for-rollout", {**place, **committed}, samples, name=f"wait-{environment}")
    status = {"error": {}, "pipelineJobResourceName": "training-rpfxp", "state": "SUCCEEDED"}
    run("report-run", {"status": {**status, "pipelineTaskName": "exit-handler-1"}, "model_name": "jukebox"})
    again = run("find-champion", {**git, "image": image}, name="find-again")
    run("evaluate", gate, {**judged, "champion": again.artifacts["champion"]}, name="evaluate-again")
    return done
