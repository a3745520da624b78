"""How a version comes to an environment: a commit, and the wait until the cluster serves it or has it taken back."""

from dataclasses import dataclass
from typing import Any

from kfp import dsl

from components.bump_version import bump_version
from components.wait_for_rollout import wait_for_rollout
from pipelines._secrets import with_git


@dataclass(frozen=True)
class Road:
    """What all environments of a pipeline share: parameters of the pipeline, by their names there."""

    gitops_repo: Any
    gitops: Any
    model_name: Any
    rollout: Any
    trigger: Any
    git_secret: Any
    step_image: Any

    def commit(self, environment: str, after: Any, **version: Any) -> Any:
        """Commit a version to `environment` once the task `after` has ended well; returns KFP's task."""
        task = bump_version(**self._place(environment), **version)
        task.after(after).set_display_name(f"bump-version-{environment}")
        return with_git(task, self.git_secret)

    def wait(self, environment: str, **version: Any) -> Any:
        """Wait until `environment` serves a version; returns KFP's task."""
        task = wait_for_rollout(rollout=self.rollout, **self._place(environment), **version)
        task.set_display_name(f"wait-for-rollout-{environment}")
        return with_git(task, self.git_secret)

    def deploy(self, environment: str, after: Any, samples: Any = None, **version: Any) -> Any:
        """Commit a version to `environment`, and wait until it is served; returns the task that waits."""
        committed = self.commit(environment, after, **version)
        expected = {name: committed.outputs[name] for name in ("version", "digest", "commit", "in_place")}
        return self.wait(environment, **expected, **({"samples": samples} if samples else {}))

    def _place(self, environment: str) -> dict[str, Any]:
        """What both steps have to know of git and of the run, and where their code is."""
        return {
            "step_image": self.step_image,
            "gitops_repo": self.gitops_repo,
            "gitops": self.gitops,
            "model_name": self.model_name,
            "environment": environment,
            "run": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            "trigger": self.trigger,
        }
