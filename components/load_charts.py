"""The step that brings the chart tables in."""

from kfp.dsl import Dataset, Output

from components._step import step


# The tables behind an address change under it, so an earlier run's result is never served for this one.
@step(cache=False)
def load_charts(
    charts: str,
    dataset: Output[Dataset],
    since: str = "",
    until: str = "",
    seed: int = 0,
) -> None:
    """Read the chart tables and write one row per song and country.

    Joins song_rankings.parquet with song_properties.parquet on spotify_id and counts chart entries; the global chart
    (no country) is dropped. The dataset's metadata carries its sha256, its rows, and each source file's digest and
    version.

    Args:
        charts: Where the two tables are: `sample` (generated, needs no network), a folder, an https address, or
            s3://bucket/prefix (endpoint and credentials from the AWS variables).
        dataset: The joined table, as parquet.
        since: The first day of the charts to train on (ISO 8601); empty for all of them.
        until: The last day.
        seed: Seed of the generator behind `sample`; the other sources ignore it.
    """
    from dataclasses import asdict
    from pathlib import Path

    from roadie import data

    loaded = data.load_charts(charts, Path(dataset.path), seed=seed, since=since, until=until)
    dataset.metadata.update(
        sha256=loaded.sha256,
        rows=loaded.rows,
        examples=loaded.examples,
        global_rows=loaded.global_rows,
        unmatched_rows=loaded.unmatched_rows,
        dated=loaded.dated,
        songs=loaded.songs,
        countries=loaded.countries,
        source=loaded.source,
        files=[asdict(file) for file in loaded.files],
    )
    print(
        f"{loaded.rows:,} chart entries of {loaded.songs:,} songs in {loaded.countries} countries from {loaded.source}"
    )
