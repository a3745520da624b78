"""The training pipeline: from chart tables to two GitOps commits."""

from kfp import dsl

from components.check_data import check_data
from components.cross_validate import cross_validate
from components.evaluate import evaluate
from components.find_champion import find_champion
from components.load_charts import load_charts
from components.push_modelcar import push_modelcar
from components.report_run import report_run
from components.split_data import split_data
from components.train import train
from pipelines._deploy import Environment, Road
from pipelines._pipeline import pipeline
from pipelines._secrets import with_git, with_registry, with_s3, with_webhook

# The least that is asked of a model when nothing else is said: surely better than the champion, and than guessing.
GATE = {
    "metric": "log_loss",
    "mode": "superiority",
    "margin": 0.0,
    "confidence": 0.95,
    "floors": {"gain": 0.02},
}


@pipeline(name="training", display_name="Train, prove, package, deploy")
def training(
    charts: str = "sample",
    charts_since: str = "",
    charts_until: str = "",
    model_name: str = "jukebox",
    image: str = "",
    gitops_repo: str = "",
    gitops_branch: str = "main",
    git_host: str = "",
    test_file: str = "test/values.yaml",
    stage_file: str = "stage/values.yaml",
    values_key: str = "applications.jukebox.values",
    champion: str = "stage",
    version: str = "",
    seed: int = 42,
    holdout_share: float = 0.2,
    holdout_since: str = "",
    fixed_holdout: str = "",
    split_seed: int = 0,
    hyperparameters: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature
    sweep: list[dict[str, object]] = [{}],  # noqa: B006
    folds: int = 5,
    gate: dict[str, object] = GATE,
    source: str = "",
    revision: str = "",
    trigger: str = "manual",
    stage_review: bool = False,
    review_hours: float = 0.0,
    inference_service: str = "",
    test_namespace: str = "",
    stage_namespace: str = "",
    application: str = "",
    argocd_namespace: str = "argocd",
    rollout_minutes: float = 15.0,
    soak_minutes: float = 0.0,
    predictor_url: str = "",
    registry_secret: str = "roadie-registry",
    git_secret: str = "roadie-git",
    s3_secret: str = "roadie-s3",
    webhook_secret: str = "roadie-webhook",
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
        gitops_branch: The branch that is deployed.
        git_host: The kind of the Git host (github, gitlab, gitea), where the repository's address does not tell it.
        test_file: The values file of the test environment.
        stage_file: The values file of the stage environment; empty to stop after test.
        values_key: The mapping in both files that holds `version`.
        champion: The environment whose version is the champion, stage or test.
        version: The version to give; when empty, ten digits of the revision and twelve of the model's digest.
        seed: Seed of the training.
        holdout_share: Share of the songs that the models are scored on.
        holdout_since: A date (ISO 8601) that takes the share's place: held out are the songs first seen on it or later.
        fixed_holdout: Where a holdout of an earlier run is, which takes the share's place: a file, https or s3://.
        split_seed: Seed of the split; keep it over a model's life, or a champion meets songs that it was trained on.
        hyperparameters: Hyperparameters by name; those left out have their defaults.
        sweep: Sets of changes to the hyperparameters; each is scored by cross-validation on the training songs, and the
            best goes on.
        folds: How many parts the cross-validation deals the training songs to; 0 leaves it out where there is one set.
        gate: What a challenger must reach; an empty configuration is refused.
        source: Address of the repository that holds the training code, for the image's annotations.
        revision: The commit of the training code, for the version and the image's annotations.
        trigger: What started the run, for the image's annotations and the commits' trailers.
        stage_review: Open a pull request for stage instead of committing to the branch.
        review_hours: How long to wait for that pull request to be merged, in hours.
        inference_service: The InferenceService to wait for after each commit; empty to wait for none.
        test_namespace: Its namespace in test; empty to wait for none there.
        stage_namespace: Its namespace in stage; empty to wait for none there.
        application: The Argo CD Application to wait for, in which {environment} stands for test or stage; may be empty.
        argocd_namespace: The Application's namespace; openshift-gitops with OpenShift GitOps.
        rollout_minutes: How long to wait for a rollout, in minutes; one that fails is rolled back.
        soak_minutes: How long a version has to stay healthy, in minutes.
        predictor_url: Where the served model answers, such as http://jukebox-predictor.{namespace}.svc.cluster.local;
            its answers are compared with the challenger's. {environment} is filled in, too. Empty to ask it nothing.
        registry_secret: Secret of type kubernetes.io/dockerconfigjson for the registry; may be missing.
        git_secret: Secret with username and password for the GitOps repository; may be missing.
        s3_secret: Secret with the AWS variables for the charts; may be missing.
        webhook_secret: Secret whose key url is where the run's end is told; may be missing.
    """
    at_end = report_run(
        model_name=model_name, trigger=trigger, inference_service=inference_service, namespace=test_namespace
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
        predictor_url=predictor_url,
        trigger=trigger,
        git_secret=git_secret,
    )
    with dsl.ExitHandler(at_end, name="road"):
        # First, because wrong credentials should show before the training and not after it.
        found = find_champion(
            gitops_repo=gitops_repo,
            test_file=test_file,
            stage_file=stage_file,
            environment=champion,
            values_key=values_key,
            image=image,
            gitops_branch=gitops_branch,
        )
        with_git(found, git_secret)
        with_registry(found, registry_secret)

        charts_task = load_charts(
            charts=charts, fixed_holdout=fixed_holdout, since=charts_since, until=charts_until
        ).after(found)
        with_s3(charts_task, s3_secret)
        dataset = charts_task.outputs["dataset"]
        checked = check_data(dataset=dataset)
        parts = split_data(
            dataset=dataset,
            fixed=charts_task.outputs["fixed"],
            holdout_share=holdout_share,
            since=holdout_since,
            seed=split_seed,
        ).after(checked)
        with dsl.ParallelFor(sweep, name="sweep") as changes:
            scored = cross_validate(
                examples=parts.outputs["train"],
                changes=changes,
                hyperparameters=hyperparameters,
                folds=folds,
                seed=seed,
            )
        trained = train(examples=parts.outputs["train"], scores=dsl.Collected(scored.output), seed=seed)
        decided = evaluate(
            challenger=trained.outputs["model"],
            champion=found.outputs["champion"],
            holdout=parts.outputs["holdout"],
            dataset=dataset,
            gate=gate,
            model_name=model_name,
        )

        with dsl.If(decided.outputs["Output"] == "promote", name="promoted"):
            pushed = push_modelcar(
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
            test = Environment("test", test_file, test_namespace)
            in_test = road.deploy(test, after=pushed, replacing=found.outputs["test_held"], **made)
            road.deploy(
                Environment("stage", stage_file, stage_namespace),
                after=in_test,
                source=test.name,
                source_file=test.values_file,
                replacing=found.outputs["stage_held"],
                review=stage_review,
                review_hours=review_hours,
                git_host=git_host,
                **made,
            )
