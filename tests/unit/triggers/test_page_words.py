"""How the page says times, digests, commits and addresses."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie.triggers.page import words
from tests.unit.triggers.page_rows import IMAGE, NOW

DANGEROUS = [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "//evil.example.com/",
    "/runs/x",
    "https:evil.example.com",
    "https://",
    "http://[::1",
    "https://a.example.com\\@b.example.com/",
    "https://a.example.com/ b",
    "https://a.example.com/\n",
    "",
]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (29, "just now"),
        (31, "31 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (7200, "2 h ago"),
        (86400, "1 day ago"),
        (86400 * 40, "40 days ago"),
        (-20, "just now"),
        (-7200, "in 2 h"),
    ],
)
def test_a_time_is_said_in_one_unit(seconds: int, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 s"), (41, "41 s"), (316, "5 min 16 s"), (3888, "1 h 4 min"), (100_000, "1 d 3 h")],
)
def test_a_duration_is_said_in_two_units(seconds: int, said: str) -> None:
    assert words.lasted(timedelta(seconds=seconds)) == said


def test_a_time_of_another_year_names_it() -> None:
    moment = words.moment(NOW.replace(year=2024), NOW)
    assert (moment.iso, moment.day, moment.clock) == ("2024-03-14T09:26:53Z", "14 Mar 2024", "09:26:53")


@pytest.mark.parametrize("url", DANGEROUS)
def test_an_address_that_does_more_than_open_a_page_is_no_link(url: str) -> None:
    assert words.web_address(url) == ""


def test_credentials_in_an_address_are_left_out() -> None:
    assert words.web_address("https://ada:secret@git.example.com/a?b=c#d") == "https://git.example.com/a?b=c#d"


@given(st.one_of(st.text(), st.text().map("http://".__add__), st.text().map("https://x".__add__)))
def test_whatever_comes_a_link_is_a_web_address(url: str) -> None:
    link = words.web_address(url)
    assert not link or (link.startswith(("http://", "https://")) and link.isprintable())


@pytest.mark.parametrize(
    ("repository", "url"),
    [
        ("https://github.com/music/trainer.git", "https://github.com/music/trainer/commit/abc"),
        ("http://gitea.local:3000/music/trainer/", "http://gitea.local:3000/music/trainer/commit/abc"),
        ("https://gitlab.example.com/a/b/c.git", "https://gitlab.example.com/a/b/c/-/commit/abc"),
        ("https://ada:secret@github.com/music/trainer", "https://github.com/music/trainer/commit/abc"),
        ("git@github.com:music/trainer.git", ""),
        ("ssh://git@github.com/music/trainer.git", ""),
        ("/srv/gitops.git", ""),
        ("javascript:alert(1)//", ""),
        ("", ""),
    ],
)
def test_a_commit_is_linked_where_its_repository_is_on_the_web(repository: str, url: str) -> None:
    assert words.commit(repository, "abc").url == url


def test_a_sha_cannot_leave_its_place_in_a_link() -> None:
    link = words.commit("https://github.com/music/trainer", "../../x?y#z").url
    assert link == "https://github.com/music/trainer/commit/..%2F..%2Fx%3Fy%23z"


@pytest.mark.parametrize(
    ("image", "short"),
    [
        (IMAGE, "jukebox@sha256:5e5e5e5e5e5e"),
        (f"registry:5000/a/jukebox:v1@sha256:{'0' * 64}", "jukebox@sha256:000000000000"),
        ("registry:5000/a/jukebox:v1", "jukebox:v1"),
        ("oci:/srv/images:v1", "images:v1"),
        (f"sha256:{'0' * 64}", "sha256:000000000000"),
    ],
)
def test_an_image_is_shortened_to_what_tells_it_apart(image: str, short: str) -> None:
    assert words.short_image(image) == short


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert words.parse(text) is None


def test_a_time_without_a_zone_is_utc() -> None:
    assert words.parse("2026-03-14T09:26:53") == NOW
