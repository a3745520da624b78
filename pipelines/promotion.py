"""The promotion pipeline: what test serves goes to stage, by a commit or a pull request, and back when it fails."""

from kfp import dsl

from components._step import STEP_IMAGE
from components.report_run import report_run
from pipelines._deploy import Road
from pipelines._secrets import with_webhook


@dsl.pipeline(name="promotion", display_name="Promote what test serves to stage")  # type: ignore[untyped-decorator]
def promotion(
    gitops_repo: str,
    gitops: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature
    model_name: str = "jukebox",
    version: str = "",
    rollout: dict[str, object] = {},  # noqa: B006
    trigger: str = "manual",
    git_secret: str = "roadie-git",
    webhook_secret: str = "roadie-webhook",
    step_image: str = STEP_IMAGE,
) -> None:
    """Promote exactly the version and digest that test holds to stage, once test serves it.

    A version that stage does not come to serve is rolled back there.

    Args:
        gitops_repo: Address of the GitOps repository.
        gitops: Where versions stand in it and how they get there (branch, files, key, champion, host, review,
            review_hours); {} for test/values.yaml and stage/values.yaml of main.
        model_name: The model's name.
        version: The version that test must hold; empty for whichever it holds.
        rollout: What serves the model, and how long it may take to come up (inference_service, namespaces, application,
            argocd_namespace, minutes, soak_minutes, predictor_url); {} to wait for nothing.
        trigger: What started the run, for the commits' trailers.
        git_secret: Secret with username and password for the GitOps repository; may be missing.
        webhook_secret: Secret whose key url is where the run's end is told; may be missing.
        step_image: The image with the steps' code, by digest, as `roadie image push` prints it; runs here need none.
    """
    at_end = report_run(
        step_image=step_image,
        model_name=model_name,
        run=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        trigger=trigger,
        environment="stage",
        rollout=rollout,
    )
    with_webhook(at_end, webhook_secret)
    road = Road(
        gitops_repo=gitops_repo,
        gitops=gitops,
        model_name=model_name,
        rollout=rollout,
        trigger=trigger,
        git_secret=git_secret,
        step_image=step_image,
    )
    with dsl.ExitHandler(at_end, name="road"):
        served = road.wait("test", version=version, digest="", roll_back=False)
        road.deploy("stage", after=served, version=version, source="test")
