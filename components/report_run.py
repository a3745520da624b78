"""The step that says how a run ended."""

from kfp.dsl import PipelineTaskFinalStatus

from components._step import step


@step(cache=False)
def report_run(
    status: PipelineTaskFinalStatus,
    model_name: str,
    trigger: str = "",
    environment: str = "test",
    rollout: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
) -> None:
    """Say in one line how the run ended; runs after every run, failed ones too.

    The line goes to the log, to the webhook of the variable ROADIE_WEBHOOK_URL (JSON with a `text`, as Slack takes it),
    and to an Event on the InferenceService, where the service account may create one. A report that cannot be delivered
    is told in the log and fails nothing.

    Args:
        status: The run's final state, filled in by KFP.
        model_name: The model that the run was about.
        trigger: What started the run.
        environment: The environment whose InferenceService gets an Event.
        rollout: What serves the model there; no Event where nothing is named.
    """
    import os

    from roadie import trace

    ending = trace.Ending(model_name, trigger, status.pipeline_job_resource_name, status.state, status.error_message)
    webhook = os.environ.get("ROADIE_WEBHOOK_URL", "")
    target = trace.RolloutSettings.parse(rollout).target(environment)
    for line in trace.report_end(ending, webhook=webhook, target=target if target.inference_service else None):
        print(line)
