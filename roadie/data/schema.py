"""The shape of the tables: what is read of the two raw ones, and the examples table made of them."""

import polars as pl

RANKINGS = "song_rankings.parquet"
PROPERTIES = "song_properties.parquet"
TABLES = (RANKINGS, PROPERTIES)

GROUP = "spotify_id"
LABEL = "country"
WEIGHT = "weight"
FEATURES = (
    "is_explicit",
    "duration_ms",
    "danceability",
    "energy",
    "key",
    "loudness",
    "mode",
    "speechiness",
    "acousticness",
    "instrumentalness",
    "liveness",
    "valence",
    "tempo",
)
DATE = "snapshot_date"  # of a chart; the rankings need not have it
FIRST_SEEN = (
    "first_seen"  # when a song entered a country's chart; an examples table has it where the rankings have dates
)
FLAGS = ("is_explicit", "mode")  # features that a raw table may hold as booleans

Columns = dict[str, type[pl.DataType]]
CHART_COLUMNS: Columns = {GROUP: pl.String, LABEL: pl.String}
DATE_COLUMNS: Columns = {DATE: pl.Date}
SONG_COLUMNS: Columns = {GROUP: pl.String, **dict.fromkeys(FEATURES, pl.Float64)}
EXAMPLE_COLUMNS: Columns = {
    GROUP: pl.String,
    LABEL: pl.String,
    WEIGHT: pl.Int64,
    **dict.fromkeys(FEATURES, pl.Float64),
}
