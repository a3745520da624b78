"""Pushes of GitHub, GitLab and Gitea as events; payloads in the shape that each host documents."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.senders import pushes

NOW = datetime(2026, 3, 1, 10, 0, 0, 123456, UTC)
BEFORE, AFTER, NONE = "a" * 40, "b" * 40, "0" * 40
OWN = "Deploy jukebox 1.2.0 to test\n\nRoadie-Model: jukebox\nRoadie-Version: 1.2.0\nRoadie-Run: training-1\n"
SOURCES = ("github", "gitlab", "gitea")


def commit(message: str = "Tune the network\n\nat length", sha: str = AFTER, **files: list[str]) -> dict[str, Any]:
    changed = {"added": [], "modified": ["roadie/training/fit.py"], "removed": [], **files}
    return {"id": sha, "message": message, "timestamp": "2026-03-01T09:59:00Z", "url": "https://x.example", **changed}


def github(*commits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    listed = list(commits or (commit(),))
    return {
        "ref": "refs/heads/main",
        "before": BEFORE,
        "after": AFTER,
        "created": False,
        "deleted": False,
        "forced": False,
        "commits": listed,
        "head_commit": listed[-1],
        "repository": {
            "full_name": "band/jukebox",
            "clone_url": "https://github.com/band/jukebox.git",
            "ssh_url": "git@github.com:band/jukebox.git",
        },
        "pusher": {"name": "melody", "email": "melody@example.com"},
        **changes,
    }


def gitlab(*commits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    listed = list(commits or (commit(),))
    return {
        "object_kind": "push",
        "event_name": "push",
        "ref": "refs/heads/main",
        "before": BEFORE,
        "after": AFTER,
        "checkout_sha": AFTER,
        "user_name": "Melody",
        "user_username": "melody",
        "project": {
            "path_with_namespace": "band/jukebox",
            "git_http_url": "https://gitlab.example.com/band/jukebox.git",
            "git_ssh_url": "git@gitlab.example.com:band/jukebox.git",
        },
        "commits": listed,
        "total_commits_count": len(listed),
        **changes,
    }


def gitea(*commits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    listed = list(commits or (commit(),))
    return {
        "ref": "refs/heads/main",
        "before": BEFORE,
        "after": AFTER,
        "commits": listed,
        "total_commits": len(listed),
        "head_commit": listed[0],
        "repository": {"full_name": "band/jukebox", "clone_url": "https://gitea.example.com:3000/band/jukebox.git"},
        "pusher": {"login": "melody", "username": "melody"},
        **changes,
    }


MAKE = {"github": github, "gitlab": gitlab, "gitea": gitea}
NAME = {
    "github": "github.com/band/jukebox",
    "gitlab": "gitlab.example.com/band/jukebox",
    "gitea": "gitea.example.com:3000/band/jukebox",
}


def headers(source: str, event: str = "", delivery: str = "d-1") -> dict[str, str]:
    names = {
        "github": ("x-github-event", "x-github-delivery", "push"),
        "gitlab": ("x-gitlab-event", "idempotency-key", "Push Hook"),
        "gitea": ("x-gitea-event", "x-gitea-delivery", "push"),
    }
    kind, key, push = names[source]
    return {kind: event or push, **({key: delivery} if delivery else {})}


def parse(source: str, *commits: dict[str, Any], delivery: str = "d-1", **changes: Any) -> Event:
    return pushes.parse(source, headers(source, delivery=delivery), MAKE[source](*commits, **changes), NOW)


@pytest.mark.parametrize("source", SOURCES)
def test_a_push_keeps_what_templates_and_people_need(source: str) -> None:
    event = parse(source)
    assert (event.source, event.kind, event.status, event.ignored) == (source, "push", "pushed", "")
    assert event.identity == f"{source}/d-1"
    assert event.subject == f"{NAME[source]}@{AFTER}"
    assert event.happened == "2026-03-01T10:00:00.123Z"
    assert event.summary == f"melody pushed {AFTER[:10]} to main of {NAME[source]}: Tune the network"
    assert event.names == {
        "repository": f"https://{NAME[source]}.git",
        "branch": "main",
        "sha": AFTER,
        "pusher": "melody",
    }
    assert event.paths == ("roadie/training/fit.py",)


@pytest.mark.parametrize("source", SOURCES)
def test_without_a_delivery_s_id_a_push_is_told_by_repository_branch_and_commit(source: str) -> None:
    assert parse(source, delivery="").identity == f"{source}/{NAME[source]}/main@{AFTER}"
    assert parse(source, delivery="a b\n").identity == f"{source}/{NAME[source]}/main@{AFTER}"
    assert parse(source, delivery="").subject == parse(source, delivery="d-2").subject


@pytest.mark.parametrize("source", SOURCES)
def test_paths_are_those_of_all_commits(source: str) -> None:
    event = parse(source, commit(sha="c" * 40, added=["a b.py", "é.py"]), commit(removed=["old.py"], modified=[]))
    assert event.paths == ("a b.py", "old.py", "roadie/training/fit.py", "é.py")


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("github", {"forced": True}),
        ("github", {"created": True, "before": NONE}),
        ("github", {"commits": []}),
        ("github", {"commits": [commit()] * 20}),
        ("github", {"commits": [commit()] * 2048}),
        ("github", {"commits": [{"id": AFTER, "message": "no files"}]}),
        ("gitlab", {"total_commits_count": 21}),
        ("gitlab", {"before": NONE}),
        ("gitlab", {"commits": [], "total_commits_count": 0}),
        ("gitea", {"total_commits": 6}),
        ("gitea", {"total_commits": None}),
        ("gitea", {"before": NONE}),
    ],
)
def test_paths_are_unknown_where_the_payload_does_not_tell_them_all(source: str, changes: dict[str, Any]) -> None:
    event = parse(source, **changes)
    assert (event.paths, event.status, event.ignored) == (None, "pushed", "")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "message", [OWN, OWN.replace("\n", "\r\n"), "Set x\n\nRoadie-Set: test/values.yaml:a.version=1\n"]
)
def test_a_push_of_roadie_s_own_commits_is_ignored(source: str, message: str) -> None:
    event = parse(source, commit(message, "c" * 40), commit(message))
    assert event.ignored == "Roadie made these commits itself"
    assert event.status == "pushed"


@pytest.mark.parametrize("source", SOURCES)
def test_a_merge_of_roadie_s_own_commits_is_ignored(source: str) -> None:
    assert parse(source, commit(OWN, "c" * 40), commit("Merge pull request #3 from band/roadie/jukebox-stage")).ignored


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "messages",
    [
        (OWN, "Tune the network"),
        ("Tune the network", OWN),
        ("Merge branch 'other'",),
        ("Talk about Roadie-Version: 1.2.0 in the subject",),
        ("Quote one\n\nRoadie-Version: 1.2.0\n\nbut not in the last paragraph",),
        ('Revert "Deploy jukebox 1.2.0 to test"\n\nThis reverts commit ' + "c" * 40,),
        ("",),
    ],
)
def test_a_push_with_anybody_else_s_commit_counts(source: str, messages: tuple[str, ...]) -> None:
    event = parse(source, *(commit(message, f"{number:040}") for number, message in enumerate(messages)))
    assert event.ignored == ""


@pytest.mark.parametrize(("source", "total"), [("gitlab", "total_commits_count"), ("gitea", "total_commits")])
def test_unlisted_commits_may_be_somebody_else_s(source: str, total: str) -> None:
    assert parse(source, commit(OWN), **{total: 6}).ignored == ""


@pytest.mark.parametrize(
    ("source", "event"),
    [
        ("github", "ping"),
        ("github", "pull_request"),
        ("gitlab", "Tag Push Hook"),
        ("gitlab", "Merge Request Hook"),
        ("gitea", "delete"),
        ("gitea", "weird\n\x1b[31m"),
    ],
)
def test_other_events_are_ignored_with_their_name(source: str, event: str) -> None:
    body = {"zen": "Keep it simple.", "repository": {"full_name": "band/jukebox"}}
    told = pushes.parse(source, headers(source, event), body, NOW)
    assert (told.status, told.kind, told.identity) == ("other", "push", f"{source}/d-1")
    assert told.ignored.endswith("is no push to a branch")
    assert told.ignored.isprintable()
    assert told.summary.endswith("of band/jukebox")
    without = pushes.parse(source, headers(source, event, delivery=""), {}, NOW)
    assert without.identity.startswith(f"{source}/")


@pytest.mark.parametrize("source", SOURCES)
def test_tags_and_deleted_branches_are_ignored(source: str) -> None:
    tag = parse(source, ref="refs/tags/v1.2.0")
    assert (tag.status, tag.ignored) == ("other", "refs/tags/v1.2.0 is no branch")
    gone = parse(source, ref="refs/heads/old", after=NONE, commits=[], head_commit=None)
    assert (gone.status, gone.ignored) == ("other", "the branch old was deleted")


@pytest.mark.parametrize("source", SOURCES)
def test_credentials_in_a_repository_s_address_are_left_out(source: str) -> None:
    made = MAKE[source]()
    place, key = ("project", "git_http_url") if source == "gitlab" else ("repository", "clone_url")
    made[place][key] = "https://melody:hunter2@git.example.com/band/jukebox.git"
    event = pushes.parse(source, headers(source), made, NOW)
    assert "hunter2" not in repr(event)
    assert event.names["repository"] == "https://git.example.com/band/jukebox.git"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "changes",
    [
        {"ref": None},
        {"after": "main"},
        {"after": "B" * 40},
        {"before": 3},
        {"commits": ["text"]},
        {"commits": {}},
        {"repository": [], "project": "x"},
        {"repository": {"clone_url": "https://[x"}, "project": {"git_http_url": "https://[x"}},
    ],
)
def test_a_push_that_is_not_as_documented_is_refused(source: str, changes: dict[str, Any]) -> None:
    with pytest.raises(TriggerError, match="as it is documented"):
        parse(source, **changes)


@pytest.mark.parametrize("source", SOURCES)
def test_a_request_that_names_no_event_is_refused(source: str) -> None:
    with pytest.raises(TriggerError, match=f"x-{source}-event"):
        pushes.parse(source, {}, MAKE[source](), NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(SOURCES), st.sampled_from(sorted({*github(), *gitlab(), *gitea()})), JSON)
def test_whatever_a_field_is_the_push_is_understood_or_refused(source: str, field: str, value: Any) -> None:
    try:
        event = parse(source, **{field: value})
    except TriggerError as error:
        assert str(error).isprintable()
    else:
        assert event.summary.isprintable()
