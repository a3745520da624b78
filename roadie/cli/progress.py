"""What people see while a pipeline runs."""

import click

from roadie.runs import StepRun


def tell(step: StepRun) -> None:
    """One line on standard error as a step starts, and one as it ends."""
    match step.state:
        case "running":
            click.echo(f"  {step.name} ...", err=True)
        case "succeeded":
            click.echo(f"  {step.name} done in {step.seconds:.1f} s", err=True)
        case _:
            click.echo(f"  {step.name} FAILED after {step.seconds:.1f} s: {step.error}", err=True)
