"""The step that says how a run ended."""

from kfp.dsl import PipelineTaskFinalStatus

from components._step import step


@step(cache=False)
def report_run(status: PipelineTaskFinalStatus, model_name: str, trigger: str = "") -> None:
    """Say in one line how the run ended; runs after every run, failed ones too.

    Args:
        status: The run's final state, filled in by KFP.
        model_name: The model that was trained.
        trigger: What started the run.
    """
    from roadie import trace

    print(
        trace.end_of_run(
            model_name,
            trigger=trigger,
            run=status.pipeline_job_resource_name,
            state=status.state,
            error=status.error_message,
        )
    )
