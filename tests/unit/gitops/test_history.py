"""What earlier commits forbid, judged from their trailers alone."""

import pytest

from roadie.gitops.history import Commit, judge, time_of

RECORD = "test/values.yaml:a.version=v2"
OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+00:00"


def commit(sha: str, *trailers: str, subject: str = "Set it") -> Commit:
    return Commit(sha * 40, 0, subject + "\n\n" + "\n".join(trailers) + "\n")


def test_only_the_last_paragraph_holds_trailers() -> None:
    text = "Subject\n\nRoadie-Run: forged\n\nRoadie-Set: a:b=c\nRoadie-Set: d:e=f\nno trailer\n"
    assert Commit("x", 0, text).trailers == {"Roadie-Set": ["a:b=c", "d:e=f"]}


def test_nothing_speaks_against_a_first_version() -> None:
    assert judge([], [RECORD], {}) is None
    assert (
        judge([commit("a", "Roadie-Set: test/values.yaml:a.version=v1", f"Roadie-Started: {OLD}")], [RECORD], {})
        is None
    )


def test_the_same_run_is_recognised_by_its_commit() -> None:
    made = commit("a", "Roadie-Run: r1", f"Roadie-Set: {RECORD}", "Roadie-Set: other:key=x")
    verdict = judge([commit("b"), made], [RECORD], {"Roadie-Run": "r1"})
    assert verdict and (verdict.commit, verdict.refused) == (made.sha, False)
    assert judge([made], [RECORD], {"Roadie-Run": "r2"}) is None
    assert judge([made], [RECORD.replace("v2", "v3")], {"Roadie-Run": "r1"}) is None
    assert judge([commit("a", f"Roadie-Set: {RECORD}")], [RECORD], {}) is None


def test_a_run_that_started_later_has_the_last_word() -> None:
    newer = commit("a", f"Roadie-Started: {NEW}", "Roadie-Set: test/values.yaml:a.version=v3")
    verdict = judge([commit("b"), newer], [RECORD], {"Roadie-Started": OLD})
    assert verdict and "started later" in verdict.reason
    assert judge([newer], ["stage/values.yaml:a.version=v2"], {"Roadie-Started": OLD}) is None
    assert judge([newer], [RECORD], {"Roadie-Started": NEW}) is None
    assert judge([newer], [RECORD], {}) is None


@pytest.mark.parametrize("by_hand", [False, True])
def test_what_was_rolled_back_is_not_set_again_by_itself(by_hand: bool) -> None:
    deployed = commit("a", f"Roadie-Set: {RECORD}")
    if by_hand:
        taken_back = commit("b", subject=f'Revert "Set it"\n\nThis reverts commit {deployed.sha}.')
    else:
        taken_back = commit("b", f"Roadie-Rolled-Back: {RECORD}", "Roadie-Set: test/values.yaml:a.version=v1")
    verdict = judge([commit("c"), taken_back, deployed], [RECORD], {})
    assert verdict and verdict.refused
    assert judge([taken_back, deployed], [RECORD], {}, again=True) is None
    assert judge([taken_back, deployed], [RECORD.replace("v2", "v3")], {}) is None
    # Someone insisted since.
    assert judge([commit("d", f"Roadie-Set: {RECORD}"), taken_back, deployed], [RECORD], {}) is None


def test_a_revert_that_was_itself_reverted_forbids_nothing() -> None:
    deployed = commit("a", f"Roadie-Set: {RECORD}")
    revert = commit("b", subject=f"Revert\n\nThis reverts commit {deployed.sha}.")
    reapply = commit("c", subject=f"Reapply\n\nThis reverts commit {revert.sha}.")
    assert judge([reapply, revert, deployed], [RECORD], {}) is None


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert time_of("2026-01-01T00:00:00") == time_of("2026-01-01T01:00:00+01:00")
    assert time_of("soon") is None
