"""The promotion pipeline: what test serves goes to stage, by a commit or a pull request, and back when it fails."""

from kfp import dsl

from components.report_run import report_run
from pipelines._deploy import Environment, Road
from pipelines._pipeline import pipeline
from pipelines._secrets import with_webhook


@pipeline(name="promotion", display_name="Promote what test serves to stage")
def promotion(
    gitops_repo: str,
    model_name: str = "jukebox",
    gitops_branch: str = "main",
    git_host: str = "",
    test_file: str = "test/values.yaml",
    stage_file: str = "stage/values.yaml",
    values_key: str = "applications.jukebox.values",
    version: str = "",
    review: bool = False,
    review_hours: float = 72.0,
    inference_service: str = "",
    test_namespace: str = "",
    stage_namespace: str = "",
    application: str = "",
    argocd_namespace: str = "argocd",
    rollout_minutes: float = 15.0,
    soak_minutes: float = 0.0,
    trigger: str = "manual",
    git_secret: str = "roadie-git",
    webhook_secret: str = "roadie-webhook",
) -> None:
    """Promote exactly the version and digest that test holds to stage, once test serves it.

    A version that stage does not come to serve is rolled back there.

    Args:
        gitops_repo: Address of the GitOps repository.
        model_name: The model's name.
        gitops_branch: The branch that is deployed.
        git_host: The kind of the Git host (github, gitlab, gitea), where the repository's address does not tell it.
        test_file: The values file of the test environment.
        stage_file: The values file of the stage environment.
        values_key: The mapping in both files that holds `version`.
        version: The version that test must hold; empty for whichever it holds.
        review: Open a pull request instead of committing to the branch.
        review_hours: How long to wait for that pull request to be merged, in hours.
        inference_service: The InferenceService to wait for; empty to wait for none.
        test_namespace: Its namespace in test; empty to take test as it is.
        stage_namespace: Its namespace in stage; empty to wait for none there.
        application: The Argo CD Application to wait for, in which {environment} stands for test or stage; may be empty.
        argocd_namespace: The Application's namespace; openshift-gitops with OpenShift GitOps.
        rollout_minutes: How long to wait for a rollout, in minutes.
        soak_minutes: How long a version has to stay healthy, in minutes.
        trigger: What started the run, for the commits' trailers.
        git_secret: Secret with username and password for the GitOps repository; may be missing.
        webhook_secret: Secret whose key url is where the run's end is told; may be missing.
    """
    at_end = report_run(
        model_name=model_name, trigger=trigger, inference_service=inference_service, namespace=stage_namespace
    )
    with_webhook(at_end, webhook_secret)
    road = Road(
        gitops_repo=gitops_repo,
        gitops_branch=gitops_branch,
        values_key=values_key,
        model_name=model_name,
        inference_service=inference_service,
        application=application,
        argocd_namespace=argocd_namespace,
        rollout_minutes=rollout_minutes,
        soak_minutes=soak_minutes,
        predictor_url="",
        trigger=trigger,
        git_secret=git_secret,
    )
    test = Environment("test", test_file, test_namespace)
    with dsl.ExitHandler(at_end, name="road"):
        served = road.wait(test, version=version, digest="", roll_back=False)
        road.deploy(
            Environment("stage", stage_file, stage_namespace),
            after=served,
            version=version,
            source=test.name,
            source_file=test.values_file,
            review=review,
            review_hours=review_hours,
            git_host=git_host,
        )
