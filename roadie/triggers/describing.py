"""What a configuration means, in lines for people: `roadie listen --check` prints them."""

from collections.abc import Iterator

from roadie.triggers.config import Config, Model
from roadie.triggers.durations import said
from roadie.triggers.rules.matching import wanted
from roadie.triggers.senders.addresses import normalise

_WHEN_ACTIVE = {
    "skip": "what comes meanwhile is held back",
    "queue": "what comes meanwhile waits",
    "supersede": "what comes meanwhile takes the oldest one's place",
}


def describe(config: Config) -> Iterator[str]:
    """Where the receiver listens, and for each model what starts it and what holds it back."""
    hooks = ", ".join(f"/hooks/{name}" for name, hook in config.hooks if hook)
    yield f"listens on http://{config.listen.host}:{config.listen.port} to {hooks}"
    where = "on this machine" if config.runs.where == "here" else "on the cluster"
    for name, model in config.models.items():
        source = model.from_git
        pipeline = f"{source.file} of {source.repository}" if source else model.pipeline
        yield f"{name}: runs the pipeline {pipeline} {where}"
        for line in _model(name, model, alerts=config.hooks.alertmanager is not None):
            yield f"  {line}"
        repository = model.parameters.get("gitops_repo")
        if config.gitops and repository and normalise(str(repository)) != normalise(config.gitops.repository):
            yield f"  commits to {repository}, while the page reads {config.gitops.repository} (gitops.repository)"


def _model(name: str, model: Model, *, alerts: bool) -> Iterator[str]:
    if alerts:
        labels = wanted(name, model)
        yield "for an alert with " + ", ".join(f'{label}="{value}"' for label, value in labels.items())
    for push in model.pushes:
        paths = f" that changes {', '.join(push.paths)}" if push.paths else ""
        yield f"for a push to {', '.join(push.branches)} of {push.repository}{paths}"
    runs = "1 run" if model.max_active == 1 else f"{model.max_active} runs"
    yield f"at most {runs} at once; {_WHEN_ACTIVE[model.when_active]}"
    if model.cool_down:
        yield f"none within {said(model.cool_down)} of the last"
    if model.min_new_rows:
        yield f"only with {model.min_new_rows:,} rows more than the last run had"
    if model.parameters:
        yield f"with {', '.join(sorted(model.parameters))}"
