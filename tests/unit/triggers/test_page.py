"""The page for people, from rows to HTML."""

import hashlib
import re
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadie.triggers.journal.rows import Decided, Details, Entry
from roadie.triggers.journal.storing import telling
from roadie.triggers.page import rendering, view, words
from tests.unit.triggers.page_rows import (
    ARGUMENTS,
    CONFIG,
    IMAGE,
    LABELS,
    NOW,
    REPOSITORY,
    VERSION,
    Known,
    accepted,
    alert,
    deployment,
    full,
    held,
    push,
    run,
    waiting,
)

DETAILS = Details(LABELS, ARGUMENTS)
FRAME = rendering.Frame(words.moment(NOW, NOW), tuple(CONFIG.models))
HOSTILE = "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}"


class Reading(HTMLParser):
    """What a browser would make of a document: its text, and every tag with its attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._pieces: list[str] = []
        self._inside = ""
        self.feed(document)
        self.close()

    @property
    def text(self) -> str:
        """What is read of it, with one blank where there was any white space."""
        return " ".join("".join(self._pieces).split())

    @property
    def links(self) -> list[str]:
        """Where all links lead."""
        return [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("style", "title"):
            self._pieces.append(data)


def overview(
    entries: Sequence[Entry] = (), known: Known | None = None, frame: rendering.Frame = FRAME, older: int | None = None
) -> Reading:
    """The first page, with these events and what they led to."""
    known = known or Known()
    rows = [each.run for entry in entries for each in entry.verdicts if each.run]
    models = [view.model_view(name, ("test", "stage"), known.rows, None, NOW, REPOSITORY) for name in frame.models]
    at = words.moment(known.at, NOW) if known.at else None
    document = rendering.render_overview(
        frame,
        rendering.Deployments(("test", "stage"), models, at, known.error),
        [view.run_view(row, NOW, REPOSITORY) for row in rows],
        view.days(entries, NOW, REPOSITORY),
        ("alertmanager", "github"),
        example="jukebox",
        older=older,
    )
    return Reading(document)


def story(entry: Entry, known: Known | None = None, details: Details = DETAILS) -> Reading:
    """The page of the run that the first verdict about `entry` led to."""
    known = known or Known()
    told = view.story_view(entry.verdicts[0].key, entry, details, known.rows, NOW, REPOSITORY)
    assert told
    assert told.run
    return Reading(rendering.render_story(FRAME, told, told.run))


def test_a_model_shows_what_is_deployed_where_since_when_and_by_which_commit() -> None:
    shown = overview()
    assert f"{VERSION} 4 h ago commit aaaaaaaaaa sha256:5e5e5e5e5e5e" in shown.text
    assert f"https://git.example.com/music/mlops-gitops/commit/{'a' * 40}" in shown.links
    assert "As the GitOps repository said 40 s ago." in shown.text


def test_environments_with_different_versions_are_told() -> None:
    assert "jukebox versions differ" in overview().text
    same = Known(rows=(deployment("test"), deployment("stage")))
    assert "versions differ" not in overview(known=same).text


def test_a_repository_that_cannot_be_read_is_told_with_the_age_of_what_is_shown() -> None:
    shown = overview(known=Known(error="git.example.com does not answer; it is asked again in a minute.")).text
    assert "git.example.com does not answer" in shown
    assert "What follows is as of 14 Mar, 09:26:13 UTC, 40 s ago." in shown


def test_what_was_never_read_is_not_called_absent() -> None:
    shown = overview(known=Known(rows=(), at=None)).text
    assert "not known yet" in shown
    assert "nothing" not in shown


def test_a_run_shows_its_state_duration_decision_image_commits_and_where_it_runs() -> None:
    shown = overview([push(5, accepted(run()))])
    assert "succeeded after 5 min 12 s jukebox-alert-20260314T042653Z-c0ffee000001" in shown.text
    assert "promote: log loss is better by 0.0866" in shown.text
    assert "image jukebox@sha256:5e5e5e5e5e5e commits aaaaaaaaaa bbbbbbbbbb" in shown.text
    assert "https://kfp.example.com/#/runs/details/6a1c" in shown.links
    assert "./runs/c0ffee000001" in shown.links


def test_a_run_that_failed_shows_why() -> None:
    failed = run(state="failed", error="the step train failed: no column tempo", decision="")
    assert "the step train failed: no column tempo" in overview([alert(1, accepted(failed))]).text


def test_a_run_that_goes_on_shows_for_how_long() -> None:
    going = run(state="running", started=NOW - timedelta(minutes=3), ended=None)
    assert "running for 3 min 0 s" in overview([alert(1, accepted(going))]).text


def test_a_run_that_waits_shows_what_keeps_it() -> None:
    stuck = waiting(error="the cluster does not answer; it is asked again in 40 s")
    shown = overview([alert(1, accepted(stuck))]).text
    assert "waiting" in shown
    assert "the cluster does not answer" in shown


def test_an_event_shows_what_was_decided_about_it_and_why() -> None:
    shown = overview([alert(1, accepted(run()), held("karaoke-of-the-nineties"))]).text
    assert "JukeboxDrift fires: energy has drifted" in shown
    assert "accepted for jukebox: a run of jukebox is started for it" in shown
    assert "held back for karaoke-of-the-nineties: the last run was accepted at noon cool-down" in shown


def test_an_event_that_concerns_no_model_shows_that() -> None:
    ignored = Decided("", "ignore", "no-model", "no model waits for such an alert", "", None)
    assert "ignored: no model waits for such an alert" in overview([alert(1, ignored)]).text


def test_an_event_that_was_sent_again_is_shown_once_with_how_often_it_came() -> None:
    shown = overview([alert(1, held(), seen=7, last_seen=NOW - timedelta(minutes=2))]).text
    assert "sent 7 times, last 2 min ago" in shown
    assert shown.count("JukeboxDrift fires") == 1


def test_a_run_is_not_told_again_in_full_by_an_event_that_did_not_start_it() -> None:
    resolved = Decided("jukebox", "ignore", "resolved", "it resolved", "c0ffee000001", run())
    shown = overview([alert(1, resolved, status="resolved")])
    assert "ignored for jukebox: it resolved" in shown.text
    assert shown.text.count("gate:") == 0


def test_events_are_grouped_by_day_and_times_are_machine_readable() -> None:
    shown = overview([alert(1, held()), alert(2, held()), push(12, held()), push(60, held())])
    days = ["Today, Saturday 14 March", "Yesterday, Friday 13 March", "Wednesday 11 March"]
    assert re.findall(r"(?:Today, |Yesterday, )?\w+day \d+ \w+", shown.text) == days
    times = [attributes["datetime"] or "" for tag, attributes in shown.tags if tag == "time"]
    assert "2026-03-14T08:26:53Z" in times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", each) for each in times)


def test_an_alert_links_to_its_rule_and_a_push_to_its_commit() -> None:
    links = overview([alert(1, held()), push(2, held())]).links
    assert "https://prometheus.example.com/graph?g0.expr=drift" in links
    assert f"https://github.com/music/trainer/commit/{'f' * 40}" in links


def test_links_to_other_places_give_nothing_away() -> None:
    tags = overview([alert(1, accepted(run())), push(2, held())]).tags
    outside = [attributes for tag, attributes in tags if tag == "a" and "://" in (attributes["href"] or "")]
    assert len(outside) >= 4
    assert all(attributes["rel"] == "noopener noreferrer" for attributes in outside)


def test_nothing_from_outside_becomes_markup_or_a_link() -> None:
    row = run(
        model=HOSTILE,
        name=HOSTILE,
        url="javascript:alert(1)",
        error=HOSTILE,
        decision=HOSTILE,
        decision_reason=HOSTILE,
        image=HOSTILE,
        commits=(HOSTILE,),
    )
    details = Details({HOSTILE: HOSTILE}, {HOSTILE: HOSTILE, "b": [HOSTILE]})
    names = {"generator_url": "javascript:alert(1)", "repository": "javascript:alert(1)//", "sha": HOSTILE}
    entry = alert(
        1,
        accepted(row),
        held(HOSTILE, HOSTILE, HOSTILE),
        summary=HOSTILE,
        source=HOSTILE,
        kind=HOSTILE,
        happened=HOSTILE,
        names=names,
        told=(HOSTILE,),
    )
    bad = deployment(version=HOSTILE, digest=HOSTILE, commit=HOSTILE)
    frame = replace(FRAME, models=(HOSTILE, "jukebox"), model=HOSTILE)
    for shown in (overview([entry], Known((bad,), error=HOSTILE), frame), story(entry, details=details)):
        assert {tag for tag, _ in shown.tags}.isdisjoint({"script", "img"})
        assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
        assert not [link for link in shown.links if not re.match(r"https?://|\./|\.\./|\?|#", link)]
        assert "{{ 7 * 7 }}" in shown.text


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text(), st.text())
def test_whatever_a_label_holds_the_page_has_the_same_tags(summary: str, label: str, value: str) -> None:
    plain = [tag for tag, _ in story(alert(1, accepted(run()), summary="x"), details=Details({"x": "y"}, {})).tags]
    shown = story(alert(1, accepted(run()), summary=summary), details=Details({label: value or "y"}, {}))
    assert [tag for tag, _ in shown.tags] == plain


def test_a_very_long_line_is_cut() -> None:
    assert "é" * 399 + "…" in overview([alert(1, held(), summary="é" * 100_000)]).text


def test_a_page_without_events_says_what_to_do_next() -> None:
    shown = overview().text
    assert "No run yet." in shown
    assert "This receiver listens at /hooks/alertmanager, /hooks/github: point a webhook there" in shown
    assert "amtool alert add Drift model=jukebox retrain=true" in shown


def test_a_page_without_models_says_what_to_do_next() -> None:
    assert (
        "No model is configured. Add one below models in triggers.yaml"
        in overview(frame=replace(FRAME, models=())).text
    )


def test_the_page_loads_itself_anew_only_while_a_run_goes_on_and_nobody_paused_it() -> None:
    def reloads(shown: Reading) -> bool:
        return any(attributes.get("http-equiv") == "refresh" for _, attributes in shown.tags)

    assert not reloads(overview())
    going = overview(frame=replace(FRAME, reload=True, model="jukebox"))
    assert reloads(going)
    assert "?model=jukebox&refresh=off" in going.links
    paused = overview(frame=replace(FRAME, reload=True, paused=True))
    assert not reloads(paused)
    assert "reload by itself" in paused.text


def test_there_is_a_next_page_where_there_are_older_events() -> None:
    assert "./?before=951" in overview([alert(1, held())], older=951).links
    filtered = overview([alert(1, held())], frame=replace(FRAME, model="jukebox"), older=951)
    assert "./?model=jukebox&before=951" in filtered.links
    assert not [link for link in overview([alert(1, held())]).links if "before" in link]


def test_a_later_page_leads_back_to_the_newest() -> None:
    days = view.days([alert(1, held())], NOW, REPOSITORY)
    shown = Reading(rendering.render_journal(FRAME, days, older=7))
    assert {"./", "./?before=7"} <= set(shown.links)
    assert "Nothing older is in the journal." in Reading(rendering.render_journal(FRAME, ())).text


def test_a_run_has_a_page_with_the_whole_chain() -> None:
    shown = story(push(5, accepted(run())))
    assert "ada pushed ffffffffff to main" in shown.text
    assert "a run of jukebox is started for it" in shown.text
    assert f"Image {IMAGE} version {VERSION}" in shown.text
    assert f"Commits {'a' * 40} {'b' * 40}" in shown.text
    assert "Deployed now test, since 14 Mar, 05:26:53 (4 h ago)" in shown.text
    assert 'gate {"metric": "log_loss"}' in shown.text
    assert "repository https://github.com/music/trainer.git" in shown.text


def test_the_page_of_an_alerts_run_shows_its_labels() -> None:
    assert "Labels alertname JukeboxDrift model jukebox retrain true" in story(alert(1, accepted(run()))).text


@pytest.mark.parametrize(
    ("state", "said"), [("waiting", "not pushed yet"), ("running", "not pushed yet"), ("failed", "pushed none")]
)
def test_what_a_run_did_not_come_to_is_said(state: str, said: str) -> None:
    row = waiting(state=state, started=None if state == "waiting" else NOW)
    assert said in story(alert(1, accepted(row))).text


def test_an_event_without_a_run_has_no_story() -> None:
    assert view.story_view("c0ffee000009", alert(1, accepted(run())), DETAILS, (), NOW, REPOSITORY) is None


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    document = rendering.render_message(FRAME, "Nothing here", "There is no such run.")
    style = re.search(r"<style>(.*?)</style>", document, re.DOTALL)
    assert style
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = rendering.security_policy()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "script-src" not in policy


def test_no_template_has_what_the_policy_forbids_or_switches_escaping_off() -> None:
    for template in rendering.TEMPLATES.glob("*.j2"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"<script|\sstyle=|\son\w+=|\|\s*safe|autoescape|<form|src=", text), template.name


def test_a_page_of_events_takes_at_most_50_milliseconds_of_the_processor() -> None:
    entries = [each for _ in range(8) for each in full().entries][:50]
    overview(entries)  # compiles the templates

    def seconds() -> float:
        began = time.thread_time()
        overview(entries)
        return time.thread_time() - began

    # The best of a few: the first ones fill caches. This includes parsing it again.
    assert min(seconds() for _ in range(5)) < 0.05


def test_an_alert_shows_the_labels_that_tell_it_from_others_of_its_name() -> None:
    labels = {"alertname": "Drift", "model": "jukebox", "retrain": "true", "subcategory": "energy", "z": "x" * 200}
    assert telling(labels, concerns=True) == ["subcategory=energy", "z=" + "x" * 77 + "…"]
    assert telling({f"l{number}": "v" for number in range(9)}, concerns=True)[-1] == "and 4 more"
    assert "subcategory=energy" in overview([alert(1, told=("subcategory=energy",))]).text


def test_an_alert_that_nobody_waits_for_shows_the_labels_that_models_look_at() -> None:
    labels = {"alertname": "AccuracyLow", "a": "b", "severity": "high", "model": "unknown"}
    assert telling(labels, concerns=False) == ["model=unknown", "severity=high", "a=b"]


def test_the_end_of_an_alert_shows_no_other_alert_s_success() -> None:
    resolved = Decided("jukebox", "ignore", "resolved", "it resolved", run().key, run())
    shown = overview([alert(1, resolved, status="resolved")])
    journal = shown.text.partition("Journal")[2]
    assert "succeeded" not in journal
    assert "./runs/c0ffee000001" in shown.links


def test_no_password_or_signature_is_on_a_page() -> None:
    secret = "https://ada:hunter2@store.example.com/c?X-Amz-Signature=hunter2"
    row = run(error=f"{secret} does not answer", decision_reason=secret)
    entry = alert(1, accepted(row), summary=secret, names={"generator_url": secret})
    details = Details({"a": secret}, {"charts": secret, "deep": [secret]})
    shown = overview([replace(entry, told=(f"a={secret}",))]), story(entry, details=details)
    for each in shown:
        assert "hunter2" not in each.text
        assert not [link for link in each.links if "ada:" in link]
