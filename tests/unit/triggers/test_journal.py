import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from roadie.errors import TriggerError
from roadie.triggers.journal.database import FORMAT, claim
from roadie.triggers.journal.journal import Journal
from tests.unit.triggers.world import NOON, alert, alerts, push, store, targets, verdict

DAY = timedelta(days=1)
PUSHED = {"pushes": [{"repository": "https://git.example.com/team/model", "branches": ["*"]}]}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


def states(journal: Journal) -> dict[str, str]:
    with journal.reading() as connection:
        return dict(connection.execute("SELECT key, state FROM intents ORDER BY event").fetchall())


def set_states(journal: Journal, state: str) -> None:
    with journal.writing() as connection:
        connection.execute("UPDATE intents SET state = ?, started = created", (state,))


# What is stored


def test_an_event_is_stored_with_what_was_decided_and_the_run_that_waits(journal: Journal) -> None:
    store(journal, targets(), [alert(region="eu")])
    (entry,) = journal.timeline(10)
    assert (entry.source, entry.kind, entry.status, entry.seen) == ("alertmanager", "alert", "firing", 1)
    assert entry.told == ("region=eu",)
    assert entry.received == entry.last_seen == NOON
    (decided,) = entry.verdicts
    assert (decided.model, decided.action, decided.code) == ("jukebox", "start", "accepted")
    assert decided.run is not None
    assert (decided.run.state, decided.run.key, decided.run.created) == ("waiting", decided.key, NOON)
    details = journal.details(decided.key)
    assert details is not None
    assert (details.labels["region"], details.arguments["model_name"]) == ("eu", "jukebox")
    assert journal.runs() == [decided.run]


def test_an_event_that_is_sent_again_is_counted_and_changes_nothing(journal: Journal) -> None:
    store(journal, targets(), [alert()])
    (receipt,) = store(journal, targets(), [alert()], NOON + DAY)
    assert not receipt.new
    assert [(each.action, each.code) for each in receipt.verdicts] == [("ignore", "duplicate")]
    assert "2026-01-31T12:00:00.000Z" in receipt.verdicts[0].why
    (entry,) = journal.timeline(10)
    assert (entry.seen, entry.received, entry.last_seen) == (2, NOON, NOON + DAY)
    assert len(journal.runs()) == 1


def test_an_event_that_is_twice_in_one_message_is_stored_once(journal: Journal) -> None:
    first, second = store(journal, targets(), [alert(), alert()])
    assert (first.new, second.new) == (True, False)
    assert len(journal.runs()) == 1


def test_an_alert_that_fires_again_later_is_another_event(journal: Journal) -> None:
    store(
        journal, targets(max_active=9), [alert(), alert(status="resolved"), alert(starts_at="2026-01-31T13:00:00.000Z")]
    )
    assert [entry.status for entry in journal.timeline(10)] == ["firing", "resolved", "firing"]
    assert len(journal.runs()) == 2


def test_a_commit_that_comes_by_another_branch_or_delivery_starts_no_second_run(journal: Journal) -> None:
    wanted = targets(**PUSHED)
    assert verdict(journal, wanted, push(delivery="d1")).code == "accepted"
    again = verdict(journal, wanted, push(delivery="d2", branch="release"))
    assert (again.action, again.code) == ("ignore", "duplicate")
    assert len(journal.timeline(10)) == 2
    # The page shows the run that the commit has led to.
    assert all(entry.verdicts[0].run for entry in journal.timeline(10))


def test_what_was_held_back_once_is_held_back_for_good(journal: Journal) -> None:
    wanted = targets(**PUSHED, cool_down=timedelta(hours=1))
    store(journal, wanted, [alert()])
    assert verdict(journal, wanted, push(delivery="d1")).code == "cool-down"
    assert verdict(journal, wanted, push(delivery="d2", branch="b"), NOON + DAY).code == "duplicate"


def test_a_value_that_is_unfit_for_a_parameter_holds_the_event_back(journal: Journal) -> None:
    wanted = targets(parameters={"charts": "s3://charts/{labels.region}"})
    held = verdict(journal, wanted, alert(region="../secrets"))
    assert (held.action, held.code) == ("hold", "template")
    assert journal.runs() == []


def test_events_of_one_message_are_decided_about_in_turn(journal: Journal) -> None:
    store(journal, targets(when_active="skip", max_active=2), alerts(4))
    codes = [entry.verdicts[0].code for entry in reversed(journal.timeline(10))]
    assert codes == ["accepted", "accepted", "active", "active"]
    store(journal, targets(cool_down=timedelta(hours=1)), [alert("f")])
    assert journal.timeline(1)[0].verdicts[0].code == "cool-down"


def test_a_newer_event_supersedes_what_waits(journal: Journal) -> None:
    wanted = targets(when_active="supersede")
    store(journal, wanted, alerts(3))
    assert list(states(journal).values()) == ["held", "held", "waiting"]
    oldest = journal.timeline(10)[-1].verdicts[0]
    assert (oldest.action, oldest.code, oldest.run) == ("hold", "superseded", None)
    assert len(journal.runs()) == 1


def test_a_newer_event_has_a_run_stopped_and_waits_for_its_place(journal: Journal) -> None:
    wanted = targets(when_active="supersede")
    store(journal, wanted, [alert("1")])
    set_states(journal, "running")
    store(journal, wanted, [alert("2"), alert("3")])
    assert list(states(journal).values()) == ["running", "held", "waiting"]
    with journal.reading() as connection:
        (stop,) = connection.execute("SELECT stop FROM intents WHERE state = 'running'").fetchone()
    assert stop.startswith("superseded by a newer event")


def test_what_ended_leaves_room(journal: Journal) -> None:
    wanted = targets(when_active="skip")
    store(journal, wanted, [alert("1")])
    set_states(journal, "succeeded")
    assert verdict(journal, wanted, alert("2")).code == "accepted"


# What is asked


def test_the_timeline_is_read_page_by_page_and_by_model(journal: Journal) -> None:
    store(journal, targets(max_active=99), alerts(5))
    store(journal, targets("lyrics"), [alert("zz", model="lyrics")])
    page = journal.timeline(4)
    assert [entry.id for entry in page] == [6, 5, 4, 3]
    assert [entry.id for entry in journal.timeline(4, before=page[-1].id)] == [2, 1]
    assert [entry.id for entry in journal.timeline(9, model="lyrics")] == [6]
    assert [entry.id for entry in journal.timeline(2, before=4, model="jukebox")] == [3, 2]
    assert journal.timeline(9, model="nobody") == []
    assert [run.model for run in journal.runs("lyrics")] == ["lyrics"]
    assert len(journal.runs(limit=3)) == 3


def test_it_is_told_how_many_wait_and_since_when(journal: Journal) -> None:
    assert (journal.waiting().count, journal.waiting().since) == (0, None)
    store(journal, targets(), [alert("1")])
    store(journal, targets(), [alert("2")], NOON + DAY)
    assert (journal.waiting().count, journal.waiting().since) == (2, NOON)


def test_the_event_of_a_run_is_found_by_its_key(journal: Journal) -> None:
    store(journal, targets(), alerts(3))
    run = journal.runs()[1]
    entry = journal.entry_of(run.key)
    assert entry is not None
    assert entry.verdicts[0].run == run
    assert journal.entry_of("nothing") is None


# What is forgotten


def test_old_events_are_forgotten_with_all_that_came_of_them(journal: Journal) -> None:
    store(journal, targets(max_active=9), alerts(1200))
    set_states(journal, "succeeded")
    store(journal, targets(max_active=9), [alert("new")], NOON + 2 * DAY)
    assert journal.prune(DAY, NOON + 2 * DAY) == 1199
    # The newest run of a model is kept, however old it is.
    assert len(journal.timeline(9999)) == 2
    with journal.reading() as connection:
        for table in ("decisions", "intents"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 2


def test_an_alert_that_is_sent_again_and_again_is_known_however_old_it_is(journal: Journal) -> None:
    store(journal, targets(max_active=9), [alert("old"), alert("other")])
    set_states(journal, "succeeded")
    for day in range(1, 5):
        store(journal, targets(), [alert("old")], NOON + day * DAY)
    journal.prune(2 * DAY, NOON + 5 * DAY)
    assert not store(journal, targets(), [alert("old")], NOON + 5 * DAY)[0].new


@pytest.mark.parametrize("state", ["waiting", "starting", "running"])
def test_what_has_not_ended_is_never_forgotten(journal: Journal, state: str) -> None:
    store(journal, targets(), alerts(3))
    set_states(journal, state)
    assert journal.prune(DAY, NOON + 99 * DAY) == 0


# The file


def test_every_commit_is_synced(journal: Journal) -> None:
    with journal.writing() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_the_journal_is_for_its_owner_alone(tmp_path: Path) -> None:
    Journal(tmp_path / "deep" / "journal.db").close()
    assert (tmp_path / "deep" / "journal.db").stat().st_mode & 0o777 == 0o600


def test_a_journal_of_a_newer_roadie_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(TriggerError, match="newer Roadie.*upgrade"):
        Journal(path)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(TriggerError, match="some other program's"):
        Journal(path)


def test_a_damaged_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database" * 500)
    with pytest.raises(TriggerError, match="is damaged") as caught:
        Journal(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_that_was_damaged_is_told_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    store(journal, targets(max_active=9), alerts(200))
    journal.close()
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(path.stat().st_size - 3 * 4096))
    with pytest.raises(TriggerError, match="is damaged"):
        Journal(path).check()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TriggerError, match="cannot be made"):
        Journal(tmp_path / "file" / "journal.db")


def test_a_lock_that_is_never_released_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", patience=0.1)
    with sqlite3.connect(journal.path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TriggerError, match="locked"):
            store(journal, targets(), [alert()])
    assert len(store(journal, targets(), [alert()])) == 1


FULL = """
import resource, sys
from pathlib import Path
from roadie.errors import TriggerError
from roadie.triggers.journal.journal import Journal
from tests.unit.triggers.world import alert, alerts, store, targets
journal = Journal(Path(sys.argv[1]))
store(journal, targets(max_active=9), [alert("first")])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    store(journal, targets(max_active=9), alerts(2000))
    sys.exit("it was stored")
except TriggerError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert [entry.names["fingerprint"] for entry in journal.timeline(9)] == ["first"]
store(journal, targets(max_active=9), [alert("second")])
assert len(journal.timeline(9)) == 2
"""

READ_ONLY = """
import os, sys
from pathlib import Path
from roadie.errors import TriggerError
from roadie.triggers.journal.journal import Journal
from tests.unit.triggers.world import alert, store, targets
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    journal = Journal(Path(sys.argv[1]))
    store(journal, targets(), [alert()])
    sys.exit("it was stored")
except TriggerError as error:
    print(error)
"""


def child(program: str, *arguments: str) -> str:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_is_told_and_nothing_is_half_stored(tmp_path: Path) -> None:
    said = child(FULL, str(tmp_path / "journal.db"))
    assert "nothing was stored" in said
    assert said.count("\n") == 1


def test_a_file_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path).close()
    path.chmod(0o444)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    assert "cannot be written" in child(READ_ONLY, str(path))


def test_writing_shows_whether_the_disk_takes_it(journal: Journal) -> None:
    journal.check()
    journal.check()


def test_a_journal_of_format_1_is_taken_over_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(Path(__file__).with_name("journal_1.sql").read_text())
        connection.execute(
            "INSERT INTO events (id, identity, received, last_seen, source, kind, subject, status, summary, happened,"
            " names, labels)"
            " VALUES (1, 'i', ?1, ?1, 'alertmanager', 'alert', 's', 'firing', 'Drift fires', ?1, '{}', '{}')",
            ("2026-01-31T12:00:00.000Z",),
        )
        connection.execute("INSERT INTO outbox (key, target, created, next_try) VALUES ('k', 't', '2026', '2026')")
        connection.execute("PRAGMA user_version = 1")
    journal = Journal(path)
    assert [entry.summary for entry in journal.timeline(9)] == ["Drift fires"]
    assert store(journal, targets(), [alert()])[0].new
    with journal.reading() as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone()[0] == 1
    journal.close()


def test_an_error_in_a_transaction_leaves_no_lock_though_somebody_keeps_its_cursor(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", patience=0.1)
    store(journal, targets(max_active=9), alerts(3))
    kept = []
    with pytest.raises(TriggerError), journal.writing() as connection:
        kept.append(connection.execute("SELECT * FROM events"))
        kept[0].fetchone()
        raise sqlite3.DatabaseError("a page is damaged")
    # The cursor is what a traceback keeps alive.
    assert kept
    store(journal, targets(max_active=9), [alert("another")])


@pytest.mark.parametrize("how", ["cut", "overwritten"])
def test_a_file_that_is_damaged_while_it_is_used_is_told_by_the_check(tmp_path: Path, how: str) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path, patience=0.5)
    store(journal, targets(max_active=9), alerts(500))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.check()
    size = path.stat().st_size
    with path.open("r+b") as file:
        if how == "cut":
            file.truncate(size // 2)
        else:
            file.seek(size // 2)
            file.write(b"\xa5" * 2000)
    journal._prove_at = 0.0
    with pytest.raises(TriggerError, match=r"is damaged .*; put its backup there"):
        journal.check()
    # Found once, it is told until somebody has mended it.
    with pytest.raises(TriggerError, match="is damaged"):
        journal.check()


def test_damage_that_a_sender_meets_first_is_told_by_the_next_check(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path, patience=0.5)
    journal.check()
    with pytest.raises(TriggerError, match="is damaged"), journal.writing():
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    with pytest.raises(TriggerError, match="is damaged"):
        journal.check()


# Its size


def test_what_concerns_no_model_is_stored_without_its_labels(journal: Journal) -> None:
    labels = {f"label_{number}": "x" * 1000 for number in range(60)}
    store(journal, targets(), [alert(str(number), model="nobody", **labels) for number in range(20)])
    with journal.reading() as connection:
        assert connection.execute("SELECT max(length(labels)), max(length(told)) FROM events").fetchone()[0] == 2
    assert journal.timeline(1)[0].told[0] == "model=nobody"


def test_a_page_of_the_timeline_is_small_whatever_labels_there_are(journal: Journal) -> None:
    labels = {f"label_{number}": "x" * 1000 for number in range(60)}
    store(journal, targets(max_active=99), [alert(str(number), **labels) for number in range(50)])
    tracemalloc.start()
    entries, runs = journal.timeline(50), journal.runs(limit=12)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(entries), len(runs)) == (50, 12)
    assert most < 1_000_000


def test_beyond_its_size_the_oldest_events_that_started_nothing_go_first(journal: Journal) -> None:
    store(journal, targets(max_active=9), [alert("first")])
    store(journal, targets(), [alert(f"{number:x}", model="nobody") for number in range(3000)])
    set_states(journal, "succeeded")
    store(journal, targets(max_active=9), [alert("last")])
    with journal.reading() as connection:
        before = connection.execute("PRAGMA page_count").fetchone()[0] * 4096
    assert 1000 <= journal.shrink(before // 2) < 3000
    assert journal.entry_of(journal.runs()[-1].key) is not None
    assert len(journal.runs()) == 2
    assert journal.shrink(0) > 0
    # What has not ended, and the newest run of each model, stay in any case.
    assert len(journal.timeline(9999)) == len(journal.runs()) == 2


# One receiver


def test_a_journal_is_one_receiver_s_until_its_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    lock = claim(path)
    with pytest.raises(TriggerError, match="another receiver works on the journal"):
        claim(path, seconds=0.2)
    # Reading, as tests and people do, needs no lock.
    Journal(path).close()
    lock.close()
    claim(path, seconds=0).close()
