"""The ``roadie`` command: one file for each group of commands.

Nothing heavier than click is imported here or at the top of a command's file, so that ``roadie --help`` is instant.
"""

import sys

import click

from roadie import __version__
from roadie.cli.compile import compile_command
from roadie.cli.demo import demo
from roadie.cli.doctor import doctor
from roadie.cli.gitops import gitops
from roadie.cli.image import image
from roadie.cli.listen import listen
from roadie.cli.modelcar import modelcar
from roadie.cli.rollout import rollout
from roadie.cli.run import run
from roadie.cli.runs import runs
from roadie.cli.schedule import schedule
from roadie.errors import RoadieError, UsageError

FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="roadie")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def roadie(debug: bool) -> None:
    """The road from training to the values file: train, prove, package, deploy by GitOps."""


for command in (demo, doctor, compile_command, run, runs, schedule, listen, image, modelcar, gitops, rollout):
    roadie.add_command(command)


def main() -> None:
    """Run the command line and exit: 0 on success, 1 on a refusal or failure, 2 on bad usage.

    An error is one sentence on standard error; its traceback is shown with ``--debug`` only.
    """
    debug = "--debug" in sys.argv[1:]
    try:
        roadie.main(standalone_mode=False)
    except click.exceptions.Exit as stopped:
        sys.exit(stopped.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("roadie: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`roadie ... | head`): that is its right.
        sys.stderr.close()
        sys.exit(FAILED)
    except RoadieError as error:
        if debug:
            raise
        click.echo(f"roadie: {error}", err=True)
        sys.exit(BAD_USAGE if isinstance(error, UsageError) else FAILED)
    except Exception as error:
        if debug:
            raise
        click.echo(
            f"roadie: an unforeseen {type(error).__name__}: {error}; `roadie --debug` shows where it comes from",
            err=True,
        )
        sys.exit(FAILED)
