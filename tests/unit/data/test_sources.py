"""What a source may be, and what is never shown of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie import data
from roadie.data.sources import redact
from roadie.errors import DataError


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("sample", "sample"),
        ("charts/2023-12", "charts/2023-12"),
        ("s3://bucket/some/prefix", "s3://bucket/some/prefix"),
        ("https://host:8443/a@b/c", "https://host:8443/a@b/c"),
        ("https://[::1]:8443/charts", "https://[::1]:8443/charts"),
        ("https://me:secret@host/charts?sig=secret#secret", "https://host/charts"),
        ("https://me:secret@host?sig=a@b", "https://host"),
        ("https://me:sec/ret@host/charts", "https://..."),
        ("https://me:sec?ret@host/charts", "https://..."),
    ],
)
def test_what_may_be_secret_is_left_out_of_a_source(source: str, shown: str) -> None:
    assert redact(source) == shown


@given(secret=st.text(st.characters(exclude_characters="/?#@", codec="utf-8"), min_size=8))
def test_no_password_and_no_signature_survives(secret: str) -> None:
    assert redact(f"https://me:{secret}@host/charts?sig={secret}") == "https://host/charts"


def test_a_missing_folder_is_named_with_what_could_be_given(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder 'nowhere' .*; give sample, a folder, http\(s\)://"):
        data.load_charts("nowhere", tmp_path / "examples.parquet")


def test_a_source_of_an_unknown_kind_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        data.load_charts("gs://me:secret@bucket/charts", tmp_path / "examples.parquet")
    assert str(caught.value).startswith("Roadie does not read sources like gs://bucket/charts; give sample")


def test_a_folder_that_lacks_a_table_names_it(tmp_path: Path) -> None:
    data.write_sample(tmp_path)
    (tmp_path / "song_properties.parquet").unlink()
    with pytest.raises(DataError, match=r"has no song_properties\.parquet; it must hold song_rankings\.parquet and"):
        data.load_charts(str(tmp_path), tmp_path / "examples.parquet")


def test_a_single_table_is_copied_from_a_file_even_in_a_folder_named_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data.write_sample(tmp_path / "sample")
    fetched = data.fetch_table("sample/song_rankings.parquet", tmp_path / "new" / "holdout.parquet")
    assert fetched.sha256 == data.file_sha256(tmp_path / "new" / "holdout.parquet")
    assert fetched.uri == str(tmp_path / "sample" / "song_rankings.parquet")


@pytest.mark.parametrize("source", ["", "nowhere/holdout.parquet", "holdout.parquet", "."])
def test_a_single_table_that_is_not_there_is_named(source: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder|has no "):
        data.fetch_table(source, tmp_path / "holdout.parquet")
    assert list(tmp_path.iterdir()) == []


def test_the_password_of_a_single_table_is_not_shown(tmp_path: Path) -> None:
    for source in ("gs://me:secret@bucket/holdout", "https://me:sec?ret@host/x", "https://me:sec/ret@host:port/x"):
        with pytest.raises(DataError) as caught:
            data.fetch_table(source, tmp_path / "holdout.parquet")
        assert "sec" not in str(caught.value)
