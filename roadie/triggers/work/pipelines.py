"""The pipeline of a run: the configured one, or that of the commit that the run is about."""

import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from roadie import gitops
from roadie.errors import GitOpsError, TriggerError, UsageError
from roadie.runs import Pipeline, RunRefusedError, load_pipeline
from roadie.triggers.config import PipelineSource
from roadie.triggers.rules.arguments import Target

Read = Callable[..., gitops.File]
# A compiled pipeline has some 50 kB and 4,000 events, and no compiler writes an alias. What strangers write may become
# a hundred times as much in memory.
_LARGEST, _MOST_EVENTS, _DEEPEST = 2_000_000, 50_000, 100


# A repository that is away is asked again at the next look: to wait for it here would hold up all other runs.
_read_once = functools.partial(gitops.read_file, budget=0.0)


def _too_much(content: bytes) -> str:
    """Why the YAML must not be read: found event by event, of which none is kept; empty where it may be."""
    depth = 0
    try:
        for number, event in enumerate(yaml.parse(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                return "has an alias"
            if number > _MOST_EVENTS or depth > _DEEPEST:
                return "holds too much, or nests too deeply"
    except (yaml.YAMLError, UnicodeDecodeError):
        pass  # whoever reads it says so
    return ""


class Pipelines:
    """Pipelines as runs need them.

    Args:
        folder: Where those that come from git are kept, a file for each commit: an engine may read one later.
        read: Reads a file of a repository.
    """

    def __init__(self, folder: Path, read: Read = _read_once) -> None:
        self._folder, self._read = folder, read

    def of(self, target: Target, arguments: Mapping[str, Any]) -> tuple[Pipeline, dict[str, Any]]:
        """The pipeline to run for `target`, and its arguments; from git it is that of the argument ``revision``.

        Raises:
            RunRefusedError: the commit has no such pipeline.
            TriggerError: it cannot be read now.
        """
        source = target.model.from_git
        if not source:
            return target.pipeline, dict(arguments)
        pipeline, commit = self._fetched(source, str(arguments.get("revision", "")))
        origin = {"source": source.repository, "revision": commit, **arguments}
        unknown = {"source", "revision"} - pipeline.parameters.keys()
        return pipeline, {name: value for name, value in origin.items() if name not in unknown}

    def _fetched(self, source: PipelineSource, revision: str) -> tuple[Pipeline, str]:
        try:
            found = self._read(
                source.repository, source.file, branch=source.branch, revision=revision, largest=_LARGEST
            )
        except gitops.UnreachableError as error:
            raise TriggerError(f"the pipeline cannot be read now: {error}") from None
        except GitOpsError as error:
            raise RunRefusedError(f"there is no pipeline to run: {error}") from None
        if wrong := _too_much(found.content):
            raise RunRefusedError(f"{source.file} of {found.commit[:10]} {wrong}: compile it again, as Roadie does")
        path = self._folder / found.commit / Path(source.file).name
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".part")
                partial.write_bytes(found.content)
                partial.replace(path)
            return load_pipeline(str(path)), found.commit
        except OSError as error:
            raise TriggerError(f"{path} cannot be written ({error.strerror}): make room beside the journal") from error
        except UsageError as error:
            raise RunRefusedError(f"{source.file} of {found.commit[:10]} cannot be run: {error}") from None

    def prune(self, seconds: float, now: float) -> None:
        """Remove those that were read longer than `seconds` before `now` (Unix time)."""
        for folder in self._folder.glob("*/"):
            if folder.stat().st_mtime < now - seconds:
                shutil.rmtree(folder, ignore_errors=True)
