"""What a commit tells in its message, wherever it stands there, and what of it is believed."""

from datetime import UTC, datetime

from roadie.gitops.history import Commit, identity, started, time_of

RECORD = "test/values.yaml:a.version=v2"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
MADE = int(datetime(2026, 1, 2, tzinfo=UTC).timestamp())


def told(message: str) -> list[dict[str, list[str]]]:
    return Commit("x", 0, message).told


def test_trailers_are_found_in_any_paragraph() -> None:
    after = f"Deploy it\n\nRoadie-Run: r1\nRoadie-Set: {RECORD}\n\n---------\n\nCo-authored-by: A <a@example.com>\n"
    assert told(after) == [{"Roadie-Run": ["r1"], "Roadie-Set": [RECORD]}]


def test_trailers_are_found_indented_with_carriage_returns_and_torn_apart() -> None:
    indented = f"Squashed commit of the following:\n\n    Deploy\n\n    Roadie-Run: r1\n    Roadie-Set: {RECORD}\n"
    assert told(indented) == [{"Roadie-Run": ["r1"], "Roadie-Set": [RECORD]}]
    torn = f"Deploy\r\n\r\nRoadie-Run: r1\r\n\r\nRoadie-Set: {RECORD}\r\n"
    assert told(torn) == [{"Roadie-Run": ["r1"], "Roadie-Set": [RECORD]}]


def test_a_repeated_trailer_is_kept() -> None:
    assert told("Subject\n\nRoadie-Set: a:b=c\nRoadie-Set: d:e=f\nno trailer\n") == [{"Roadie-Set": ["a:b=c", "d:e=f"]}]


def test_of_several_commits_in_one_message_each_tells_its_own() -> None:
    one = f"* Deploy v1\n\nRoadie-Version: v1\nRoadie-Digest: d1\nRoadie-Set: {RECORD.replace('v2', 'v1')}"
    two = f"* Deploy v2\n\nRoadie-Version: v2\nRoadie-Digest: d2\nRoadie-Set: {RECORD}"
    for message in (f"{one}\n\n{two}", f"{two}\n\n{one}"):
        assert Commit("x", 0, message).told_of(RECORD)["Roadie-Digest"] == ["d2"]


def test_what_is_about_another_key_tells_nothing() -> None:
    other = Commit("x", 0, "Deploy\n\nRoadie-Version: v2\nRoadie-Digest: d\nRoadie-Set: test/values.yaml:b.version=v2")
    assert other.told_of(RECORD) == {}
    by_hand = Commit("x", 0, "Deploy\n\nRoadie-Version: v2\nRoadie-Digest: d")
    assert by_hand.told_of(RECORD)["Roadie-Digest"] == ["d"]


def test_of_the_trailers_only_those_of_the_version_are_carried_on() -> None:
    trailers = {
        "Roadie-Version": ["v2"], "Roadie-Digest": ["d"], "Roadie-Manifests": ["m n"], "Roadie-Run": ["r"],
        "Roadie-Set": [RECORD], "Signed-off-by": ["A <a@example.com>"], "Roadie-Reason": ["slow"],
    }  # fmt: skip
    assert identity(trailers) == {"Roadie-Version": "v2", "Roadie-Digest": "d", "Roadie-Manifests": "m n"}


def test_a_start_after_the_commit_or_in_the_future_is_not_believed() -> None:
    for text, believed in [
        ("2026-01-01T00:00:00Z", True),
        ("2026-01-02T00:00:00Z", True),
        ("2026-01-02T00:00:02Z", False),
        ("2999-01-01T00:00:00Z", False),
        ("soon", False),
    ]:
        assert bool(started({"Roadie-Started": [text]}, MADE, NOW)) is believed
    far = int(datetime(2998, 1, 1, tzinfo=UTC).timestamp())
    assert started({"Roadie-Started": ["2997-01-01T00:00:00Z"]}, far, NOW) is None


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert time_of("2026-01-01T00:00:00") == time_of("2026-01-01T01:00:00+01:00")
    assert time_of("soon") is None
