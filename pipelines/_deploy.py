"""How a version comes to an environment: a commit, and the wait until the cluster serves it or has it taken back."""

from dataclasses import dataclass
from typing import Any

from kfp import dsl

from components.bump_version import bump_version
from components.wait_for_rollout import wait_for_rollout
from pipelines._secrets import with_git


@dataclass(frozen=True)
class Environment:
    """An environment: its name, its values file, and the namespace that its InferenceService runs in."""

    name: str
    values_file: Any
    namespace: Any


@dataclass(frozen=True)
class Road:
    """What all environments of a pipeline share: parameters of the pipeline, by their names there."""

    gitops_repo: Any
    gitops_branch: Any
    values_key: Any
    model_name: Any
    inference_service: Any
    application: Any
    argocd_namespace: Any
    rollout_minutes: Any
    soak_minutes: Any
    predictor_url: Any
    trigger: Any
    git_secret: Any

    def commit(self, environment: Environment, after: Any, **version: Any) -> Any:
        """Commit a version to `environment` once the task `after` has ended well; returns KFP's task."""
        task = bump_version(**self._place(environment), **version)
        task.after(after).set_display_name(f"bump-version-{environment.name}")
        return with_git(task, self.git_secret)

    def wait(self, environment: Environment, **version: Any) -> Any:
        """Wait until `environment` serves a version; returns KFP's task."""
        task = wait_for_rollout(
            inference_service=self.inference_service,
            namespace=environment.namespace,
            application=self.application,
            argocd_namespace=self.argocd_namespace,
            timeout_minutes=self.rollout_minutes,
            soak_minutes=self.soak_minutes,
            predictor_url=self.predictor_url,
            **self._place(environment),
            **version,
        )
        task.set_display_name(f"wait-for-rollout-{environment.name}")
        return with_git(task, self.git_secret)

    def deploy(self, environment: Environment, after: Any, samples: Any = None, **version: Any) -> Any:
        """Commit a version to `environment`, and wait until it is served; returns the task that waits."""
        committed = self.commit(environment, after, **version)
        expected = {name: committed.outputs[name] for name in ("version", "digest", "commit", "in_place")}
        return self.wait(environment, **expected, **({"samples": samples} if samples else {}))

    def _place(self, environment: Environment) -> dict[str, Any]:
        """What both steps have to know of git and of the run."""
        return {
            "gitops_repo": self.gitops_repo,
            "gitops_branch": self.gitops_branch,
            "values_file": environment.values_file,
            "values_key": self.values_key,
            "model_name": self.model_name,
            "environment": environment.name,
            "run": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            "trigger": self.trigger,
        }
