"""The training pipeline: from chart tables to two GitOps commits."""

from kfp import dsl

from components._step import STEP_IMAGE
from components.check_data import check_data
from components.evaluate import evaluate
from components.find_champion import find_champion
from components.load_charts import load_charts
from components.push_modelcar import push_modelcar
from components.report_run import report_run
from components.split_data import split_data
from components.train import train
from pipelines._deploy import Road
from pipelines._secrets import with_git, with_registry, with_s3, with_webhook

# The least that is asked of a model when nothing else is said: surely better than the champion, and than guessing.
GATE = {
    "metric": "log_loss",
    "mode": "superiority",
    "margin": 0.0,
    "confidence": 0.95,
    "floors": {"gain": 0.02},
}


@dsl.pipeline(name="training", display_name="Train, prove, package, deploy")  # type: ignore[untyped-decorator]
def training(
    charts: str = "sample",
    charts_since: str = "",
    charts_until: str = "",
    model_name: str = "jukebox",
    image: str = "",
    gitops_repo: str = "",
    gitops: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature
    version: str = "",
    seed: int = 42,
    split: dict[str, object] = {},  # noqa: B006
    hyperparameters: dict[str, object] = {},  # noqa: B006
    sweep: list[dict[str, object]] = [],  # noqa: B006
    folds: int = 5,
    gate: dict[str, object] = GATE,
    source: str = "",
    revision: str = "",
    trigger: str = "manual",
    rollout: dict[str, object] = {},  # noqa: B006
    registry_secret: str = "roadie-registry",
    registry_pull_secret: str = "roadie-registry",
    git_secret: str = "roadie-git",
    git_read_secret: str = "roadie-git",
    s3_secret: str = "roadie-s3",
    webhook_secret: str = "roadie-webhook",
    step_image: str = STEP_IMAGE,
) -> None:
    """Train a model, prove it better than the deployed one, push it as a ModelCar, and bump its version in test and
    stage.

    A challenger that is not better is rejected: the run ends well, and nothing is pushed or committed.

    Args:
        charts: Where the chart tables are: `sample`, a folder, an https address, or s3://bucket/prefix.
        charts_since: The first day of the charts to train on (ISO 8601); empty for all of them.
        charts_until: The last day; a run that an alert started can end its data there.
        model_name: The model's name.
        image: The repository of the model's images without a tag, such as registry.example.com/models/jukebox.
        gitops_repo: Address of the GitOps repository.
        gitops: Where versions stand in it and how they get there (branch, files, key, champion, host, review,
            review_hours); {} for test/values.yaml and stage/values.yaml of main.
        version: The version to give; when empty, ten digits of the revision and twelve of the model's digest.
        seed: Seed of the training.
        split: How the holdout is set aside that the models are scored on (share, since, fixed, seed); {} for a fifth of
            the songs.
        hyperparameters: Hyperparameters by name; those left out have their defaults.
        sweep: Sets of changes to the hyperparameters; each is scored by cross-validation on the training songs, and the
            best is trained. Empty to train what `hyperparameters` says.
        folds: How many parts the cross-validation deals the training songs to.
        gate: What a challenger must reach; an empty configuration is refused.
        source: Address of the repository that holds the training code, for the image's annotations.
        revision: The commit of the training code, for the version and the image's annotations.
        trigger: What started the run, for the image's annotations and the commits' trailers.
        rollout: What serves the model, and how long it may take to come up (inference_service, namespaces, application,
            argocd_namespace, minutes, soak_minutes, predictor_url); {} to wait for nothing.
        registry_secret: Secret of type kubernetes.io/dockerconfigjson that may push to the registry; may be missing.
        registry_pull_secret: The same for the step that only pulls.
        git_secret: Secret with username and password that may push to the GitOps repository; may be missing.
        git_read_secret: The same for the step that only reads.
        s3_secret: Secret with the AWS variables for the charts; may be missing.
        webhook_secret: Secret whose key url is where the run's end is told; may be missing.
        step_image: The image with the steps' code, by digest, as `roadie image push` prints it; runs here need none.
    """
    at_end = report_run(
        step_image=step_image,
        model_name=model_name,
        run=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        trigger=trigger,
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
        # First, because wrong credentials should show before the training and not after it.
        found = find_champion(
            step_image=step_image,
            gitops_repo=gitops_repo,
            gitops=gitops,
            image=image,
            model_name=model_name,
            rollout=rollout,
        )
        with_git(found, git_read_secret)
        with_registry(found, registry_pull_secret)

        loaded = load_charts(step_image=step_image, charts=charts, since=charts_since, until=charts_until).after(found)
        with_s3(loaded, s3_secret)
        dataset = loaded.outputs["dataset"]
        checked = check_data(step_image=step_image, dataset=dataset)
        parts = split_data(step_image=step_image, dataset=dataset, split=split).after(checked)
        with_s3(parts, s3_secret)
        trained = train(
            step_image=step_image,
            examples=parts.outputs["train"],
            hyperparameters=hyperparameters,
            sweep=sweep,
            folds=folds,
            seed=seed,
        )
        decided = evaluate(
            step_image=step_image,
            challenger=trained.outputs["model"],
            champion=found.outputs["champion"],
            holdout=parts.outputs["holdout"],
            dataset=dataset,
            gate=gate,
            model_name=model_name,
        )

        with dsl.If(decided.outputs["Output"] == "promote", name="promoted"):
            pushed = push_modelcar(
                step_image=step_image,
                model=trained.outputs["model"],
                metrics=decided.outputs["metrics"],
                image=image,
                version=version,
                model_name=model_name,
                source=source,
                revision=revision,
                trigger=trigger,
            )
            with_registry(pushed, registry_secret)

            made = {
                "version": pushed.outputs["version"],
                "digest": pushed.outputs["digest"],
                "provenance": pushed.outputs["provenance"],
                "started": found.outputs["started"],
                "samples": decided.outputs["samples"],
            }
            in_test = road.deploy("test", after=pushed, replacing=found.outputs["test_held"], **made)
            road.deploy("stage", after=in_test, source="test", replacing=found.outputs["stage_held"], **made)
