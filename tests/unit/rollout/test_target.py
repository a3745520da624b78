import pytest

from roadie.rollout import Wanted

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.mark.parametrize(
    "reference",
    [
        "oci://r.example.com/mlops/jukebox:v2",
        "oci+native://r.example.com/mlops/jukebox:v2",
        "mirror:5000/jukebox:v2",
        f"r.example.com/jukebox@{DIGEST}",
        f"oci://r.example.com/jukebox:v1@{DIGEST}",
    ],
)
def test_a_version_is_named_by_its_tag_or_its_digest_in_any_repository(reference: str) -> None:
    assert Wanted("v2", DIGEST).named_by(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "oci://r.example.com/jukebox",
        "oci://r.example.com/jukebox:v1",
        "oci://r.example.com/jukebox:rv2",
        f"oci://r.example.com/jukebox@{OTHER}",
        f"oci://r.example.com/jukebox:v2@{OTHER}",
    ],
)
def test_another_version_is_not_named(reference: str) -> None:
    assert not Wanted("v2", DIGEST).named_by(reference)


def test_a_digest_goes_before_the_tag_and_an_image_may_have_several() -> None:
    assert Wanted("v2", DIGEST, digests=(OTHER,)).named_by(f"r.example.com/jukebox:v1@{OTHER}")


def test_without_a_digest_none_is_asked_for() -> None:
    assert Wanted("v2", "").all_digests == ()
    assert not Wanted("", DIGEST).named_by("r.example.com/jukebox:")
