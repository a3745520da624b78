"""Whatever the history, Roadie answers as a plain model of the file over time does.

Hypothesis makes branches, merges (with conflicts resolved either way or otherwise), squashes, rebases, reverts, edits
by hand and by Roadie, broken files, lies in messages and wrong clocks; git fast-import makes a real repository of them.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadie.errors import GitOpsError
from roadie.gitops import Edit, bump, deployed, look_at, promote, read_value, rollback, status
from tests.servers.git_http import git
from tests.servers.git_work import FILE, key_of

MODELS = ("jukebox", "wine")
VERSIONS = ("latest", "v1", "v2", "v3", "v4")
BROKEN = "a: [\n"
Values = dict[str, str]


def text_of(values: Values) -> str:
    return "applications:\n" + "".join(f"  {name}:\n    values:\n      version: {values[name]}\n" for name in MODELS)


def told(model: str, version: str, **more: str) -> str:
    """The trailers of a deployment."""
    place = f"{FILE}:{key_of(model)}.version"
    facts = {"Roadie-Version": version, "Roadie-Digest": digest(model, version), "Roadie-Set": f"{place}={version}"}
    return "\n".join(f"{name}: {value}" for name, value in {**facts, **more}.items())


def digest(model: str, version: str) -> str:
    return "sha256:" + (model + version).encode().hex().ljust(64, "0")[:64]


@dataclass
class Story:
    """The branch over time, as a list of what the file held after each of its commits, and git's way to say so."""

    values: Values = field(default_factory=lambda: dict.fromkeys(MODELS, "latest"))
    past: list[Values | None] = field(default_factory=list)
    stream: list[str] = field(default_factory=list)
    marks: int = 0
    main: int = 0
    side: list[tuple[Values, str]] = field(default_factory=list)
    side_from: tuple[int, Values] | None = None

    def write(self, parents: list[int], content: str, message: str, late: int) -> int:
        """A commit; `late` is how wrong its clock is."""
        self.marks += 1
        when = 1_700_000_000 + self.marks * 60 + late
        lines = [f"commit refs/heads/{'main' if not parents else 'x'}", f"mark :{self.marks}"]
        lines += [f"committer A <a@example.com> {when} +0000", f"data {len(message.encode())}", message]
        lines += [f"{'from' if place == 0 else 'merge'} :{parent}" for place, parent in enumerate(parents)]
        for file in (FILE, *([] if parents else ["stage/values.yaml"])):
            lines += [f"M 100644 inline {file}", f"data {len(content.encode())}", content]
        self.stream += [*lines, f"M 100644 inline noise/{self.marks}", "data 1", "x", ""]
        return self.marks

    def on_main(self, values: Values | None, message: str, late: int = 0, others: tuple[int, ...] = ()) -> None:
        """The branch's next commit; None breaks the file."""
        content = BROKEN if values is None else text_of(values)
        self.main = self.write([*([self.main] if self.main else []), *others], content, message, late)
        self.past.append(values and dict(values))
        if values is not None:
            self.values = dict(values)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    story = Story()
    story.on_main(story.values, "Lay out")
    for _ in range(draw(st.integers(2, 14))):
        late = draw(st.sampled_from([0, 0, 0, -100_000, 100_000]))
        kind = draw(st.sampled_from(["hand", "roadie", "noise", "lie", "branch", "merge", "revert", "broken"]))
        model, version = draw(st.sampled_from(MODELS)), draw(st.sampled_from(VERSIONS))
        if kind in ("hand", "roadie"):
            message = "by hand" if kind == "hand" else f"Deploy\n\n{told(model, version)}\n\nCo-authored-by: B <b@x>"
            story.on_main({**story.values, model: version}, message, late)
        elif kind == "noise":
            story.on_main(story.values, "Other things", late)
        elif kind == "lie":
            back = f"{FILE}:{key_of(model)}.version=v4"
            lie = told(model, version, **{"Roadie-Rolled-Back": back, "Roadie-Started": "2999-01-01T00:00:00Z"})
            story.on_main(story.values, f"Docs\n\n{lie}", late)
        elif kind == "revert" and len(story.past) > 1 and story.past[-2] is not None:
            story.on_main(story.past[-2], 'Revert "Deploy"\n\nReverts team/repo#12', late)
        elif kind == "broken":
            story.on_main(None, "a slip", late)
            story.on_main(story.values, "mended", late)
        elif kind == "branch":
            story.side_from, story.side = (story.main, story.values), []
            for _ in range(draw(st.integers(1, 3))):
                model, version = draw(st.sampled_from(MODELS)), draw(st.sampled_from(VERSIONS))
                before = story.side[-1][0] if story.side else story.values
                story.side.append(({**before, model: version}, f"Deploy\n\n{told(model, version)}"))
        elif kind == "merge" and story.side_from and story.side:
            merge(draw, story, late)
    return story


def merge(draw: st.DrawFn, story: Story, late: int) -> None:
    """Bring the side branch to main by a merge commit, a squash, or a rebase."""
    assert story.side_from
    how = draw(st.sampled_from(["merge", "squash", "rebase"]))
    (base, at_base), theirs = story.side_from, story.side[-1][0]
    resolved = {name: theirs[name] if theirs[name] != at_base[name] else story.values[name] for name in MODELS}
    for name in MODELS:
        if theirs[name] != at_base[name] != story.values[name]:
            resolved[name] = draw(st.sampled_from([theirs[name], story.values[name], "v4"]))
    if how == "merge":
        parent = base
        for values, message in story.side:
            parent = story.write([parent], text_of(values), message, late)
        story.on_main(resolved, "Merge pull request #3 from team/side", 0, (parent,))
    elif how == "squash":
        words = "\n\n".join(f"* {message}" for _, message in story.side)
        story.on_main(resolved, f"Squashed (#3)\n\n{words}\n\n---------\n\nCo-authored-by: B <b@x>", late)
    else:
        before = at_base
        for values, message in story.side:
            changed = {name: values[name] for name in MODELS if values[name] != before[name]}
            story.on_main({**story.values, **changed}, message, late)
            before = values
    story.side_from = None


def make(story: Story, bare: Path) -> str:
    git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git("-C", str(bare), "config", "uploadpack.allowFilter", "true")
    git("-C", str(bare), "config", "uploadpack.allowAnySHA1InWant", "true")
    stream = "\n".join([*story.stream, "reset refs/heads/main", f"from :{story.main}", "", ""])
    command = ["git", "-C", str(bare), "fast-import", "--quiet", "--force"]
    subprocess.run(command, input=stream.encode(), check=True)
    return str(bare)


def verdict(past: list[Values | None], model: str) -> tuple[list[str], set[str]]:
    """What could be gone back to, best first, and what was taken back: an editor's undo, over the file's values."""
    undo: list[str] = []
    bad: set[str] = set()
    for values in past:
        if values is None or (undo and undo[-1] == values[model]):
            continue
        if values[model] in undo:
            while undo[-1] != values[model]:
                bad.add(undo.pop())
        else:
            undo.append(values[model])
        bad.discard(values[model])
    return [version for version in undo[-2::-1] if version != "latest"], bad - {"latest"}


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(story=stories(), model=st.sampled_from(MODELS))
def test_all_that_reads_a_history_agrees_with_the_file_over_time(
    tmp_path_factory: pytest.TempPathFactory, story: Story, model: str
) -> None:
    repo = make(story, tmp_path_factory.mktemp("story") / "bare.git")
    tip, held = git("-C", repo, "rev-parse", "main"), story.values[model]
    good, bad = verdict(story.past, model)

    assert {each.model: each.version for each in status(repo, ["test"])} == story.values
    assert read_value(repo, FILE, f"{key_of(model)}.version").value == held
    seen = look_at(repo, tip, FILE, key_of(model))
    assert seen and seen.version == held
    now = deployed(repo, "test", model)
    assert now and now.version == held and now.digest in ("", digest(model, held))
    length = next((n for n, each in enumerate(reversed(story.past)) if each and each[model] != held), len(story.past))
    since = git("-C", repo, "rev-list", "--first-parent", "main").split()[length - 1]
    broken = [n for n, each in enumerate(reversed(story.past)) if each is None]
    assert now.commit == since or length in broken or length - 1 in broken

    for version in sorted(bad):
        with pytest.raises(GitOpsError, match=f"{version} was rolled back"):
            bump(repo, [Edit(FILE, f"{key_of(model)}.version", version)], trailers={"Roadie-Started": "2026-01-01"})
    promote(repo, model, again=True)
    assert read_value(repo, "stage/values.yaml", f"{key_of(model)}.version").value == held
    if good:
        assert rollback(repo, model, "test").changed
        assert read_value(repo, FILE, f"{key_of(model)}.version").value == good[0]
    else:
        with pytest.raises(GitOpsError, match="no version before"):
            rollback(repo, model, "test")
    if "v9" not in story.values:
        # Lies freeze nothing.
        edit = Edit(FILE, f"{key_of(model)}.version", "v9")
        assert bump(repo, [edit], trailers={"Roadie-Started": "2026-01-01"}).changed
