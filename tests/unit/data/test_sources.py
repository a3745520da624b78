"""What a source may be."""

from pathlib import Path

import pytest

from roadie import data
from roadie.errors import DataError, UsageError


def test_a_missing_folder_is_named_with_what_could_be_given(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder 'nowhere' .*; give sample, a folder, http\(s\)://"):
        data.load_charts("nowhere", tmp_path / "examples.parquet")


def test_a_source_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Roadie does not read sources like gs://bucket/charts; give sample"):
        data.load_charts("gs://bucket/charts", tmp_path / "examples.parquet")


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


def test_the_password_of_a_source_is_refused_and_not_shown(tmp_path: Path) -> None:
    for source in ("gs://me:secret@bucket/holdout", "https://me:sec?ret@host/x", "https://me:sec/ret@host:port/x"):
        for bring in (data.fetch_table, data.load_charts):
            with pytest.raises(UsageError, match="password") as caught:
                bring(source, tmp_path / "holdout.parquet")
            assert "ret@" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
