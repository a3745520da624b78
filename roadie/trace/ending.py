"""How a run ended, for the place where people look."""


def end_of_run(model: str, *, trigger: str, run: str, state: str, error: str) -> str:
    """One line: which run of which model, started by what, ended how.

    Args:
        model: The model's name.
        trigger: What started the run; may be empty.
        run: KFP's name of the run.
        state: KFP's final state, such as SUCCEEDED or FAILED.
        error: KFP's message of a failure; may be empty.
    """
    started = f", started by {trigger}," if trigger else ""
    why = f": {' '.join(error.split())}" if error else ""
    return f"{model}: run {run}{started} ended {state}{why}"
