"""What a pipeline's structures `gitops` and `rollout` say, with their defaults and their meaning."""

from pydantic import Field

from roadie.rollout import Target
from roadie.settings import Settings


class GitOpsSettings(Settings):
    """Where versions stand in the GitOps repository, and how they get there."""

    branch: str = Field("main", description="The branch that is deployed.")
    files: dict[str, str] = Field(
        {"test": "test/values.yaml", "stage": "stage/values.yaml"},
        description="The values file of each environment; one that is left out is not deployed to.",
    )
    key: str = Field(
        "applications.{model}.values",
        description="The mapping in these files that holds `version`; {model} stands for the model's name.",
    )
    champion: str = Field("stage", description="The environment whose version is the champion, stage or test.")
    host: str = Field(
        "", description="The kind of the Git host (github, gitlab, gitea), where the repository's address is silent."
    )
    review: bool = Field(False, description="Open a pull request for stage instead of committing to the branch.")
    review_hours: float = Field(0.0, ge=0, description="How long to wait for that pull request to be merged.")

    def file(self, environment: str) -> str:
        """The environment's values file; empty where it has none."""
        return self.files.get(environment, "")

    def place(self, model: str) -> str:
        """The mapping that holds the version of `model`."""
        return self.key.replace("{model}", model)


class RolloutSettings(Settings):
    """What serves a version, and how long it may take to come up. In texts, {environment} stands for its name."""

    inference_service: str = Field("", description="The InferenceService to wait for; empty to wait for none.")
    namespaces: dict[str, str] = Field({}, description="Its namespace in each environment; without one, no wait there.")
    application: str = Field("", description="The Argo CD Application to wait for, such as jukebox-{environment}.")
    argocd_namespace: str = Field("argocd", description="Its namespace; openshift-gitops with OpenShift GitOps.")
    minutes: float = Field(15.0, gt=0, description="How long to wait; a version that fails by itself is rolled back.")
    soak_minutes: float = Field(1.0, ge=0, description="How long a version has to stay healthy.")
    predictor_url: str = Field(
        "",
        description="Where the served model answers, such as http://jukebox-predictor.{namespace}.svc.cluster.local; "
        "its answers are compared with the challenger's. Empty for the address that KServe tells, where it can be "
        "reached from the step; none to ask it nothing.",
    )

    def target(self, environment: str, repository: str = "") -> Target:
        """What to wait for in `environment`; a target that names nothing is not waited for."""
        namespace = self.namespaces.get(environment, "")
        return Target(
            self.inference_service if namespace else "",
            namespace,
            self.application.replace("{environment}", environment),
            self.argocd_namespace,
            repository,
        )

    def url(self, environment: str) -> str:
        """Where the served model answers in `environment`; empty when nobody says."""
        namespace = self.namespaces.get(environment, "")
        return self.predictor_url.replace("{environment}", environment).replace("{namespace}", namespace)
