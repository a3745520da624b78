"""The step that says how a run ended."""

from kfp.dsl import PipelineTaskFinalStatus

from components._step import step


@step(cache=False)
def report_run(
    status: PipelineTaskFinalStatus,
    model_name: str,
    run: str = "",
    run_id: str = "",
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
        run: The run's name, as people see it.
        run_id: KFP's id of the run, by which its page, pods and logs are found.
        trigger: What started the run.
        environment: The environment whose InferenceService gets an Event.
        rollout: What serves the model there; no Event where nothing is named.
    """
    import os

    from roadie import trace

    # KFP's own status names Argo's workflow, by which nobody finds the run.
    name = run or status.pipeline_job_resource_name
    ending = trace.Ending(model_name, trigger, name, status.state, status.error_message, run_id)
    webhook = os.environ.get("ROADIE_WEBHOOK_URL", "")
    target = trace.RolloutSettings.parse(rollout).target(environment)
    for line in trace.report_end(ending, webhook=webhook, target=target if target.inference_service else None):
        print(line)
