"""References: what is read, what is refused, and that every one is written as it was read."""

import pytest

from roadie.errors import UsageError
from roadie.modelcar import Reference, check_repository, parse_reference

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quay.io/team/jukebox:v1", Reference("quay.io", "team/jukebox", tag="v1")),
        ("localhost/jukebox:v1", Reference("localhost", "jukebox", tag="v1")),
        ("localhost:5000/a/b/c:V_1.2-x", Reference("localhost:5000", "a/b/c", tag="V_1.2-x")),
        ("[::1]:5000/jukebox:v1", Reference("[::1]:5000", "jukebox", tag="v1")),
        (f"quay.io/team/jukebox@{DIGEST}", Reference("quay.io", "team/jukebox", digest=DIGEST)),
        ("oci:images/jukebox:v1", Reference("", "images/jukebox", tag="v1")),
        ("oci:/srv/with:colon/x:v1", Reference("", "/srv/with:colon/x", tag="v1")),
        (f"oci:/srv/x@{DIGEST}", Reference("", "/srv/x", digest=DIGEST)),
    ],
)
def test_the_four_forms_are_read_and_written_alike(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("quay.io/team/jukebox", "no tag and no digest"),
        ("https://quay.io/team/jukebox:v1", "is written without https://"),
        ("docker://quay.io/team/jukebox:v1", "is written without docker://"),
        ("localhost:5000/jukebox", "no tag and no digest"),
        ("team/jukebox:v1", "does not start with a registry"),
        ("jukebox:v1", "does not start with a registry"),
        ("quay.io/Team/jukebox:v1", "no repository name"),
        ("quay.io/team//jukebox:v1", "no repository name"),
        ("quay.io/team/jukebox:-v1", "is no tag"),
        ("quay.io/team/jukebox:" + "v" * 129, "is no tag"),
        ("quay.io/team/jukebox@sha256:12", "is no digest"),
        (f"quay.io/team/jukebox:v1@{DIGEST}", "give the digest alone"),
        ("oci:dir", "no tag and no digest"),
        (f"oci:@{DIGEST}", "names no directory"),
        ("", "no tag and no digest"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, because: str) -> None:
    with pytest.raises(UsageError, match=because):
        parse_reference(text)


def test_a_password_in_a_reference_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference("user:secret@quay.io/team/jukebox:v1")
    assert "secret" not in str(caught.value)


def test_a_repository_is_checked_before_a_version_becomes_its_tag() -> None:
    for good in ("quay.io/team/jukebox", "localhost:5000/jukebox", "oci:/srv/registry"):
        check_repository(good)
    for text, because in {
        "quay.io/team/x:1.0": r"^The image 'quay.io/team/x:1.0' has the tag '1.0': leave it out",
        "https://me:secret@quay.io/team/x": r"^A reference is written without https://",
        "UPPER/Case": r"^'UPPER/Case' does not start with a registry",
        "quay.io/Team/x": r"^'Team/x' is no repository name",
        "jukebox": "does not start with a registry",
    }.items():
        with pytest.raises(UsageError, match=because) as caught:
            check_repository(text)
        assert "secret" not in str(caught.value)
