"""The built-in charts: made-up songs for the 72 countries of the real charts, in the real tables' shape.

Every country has a taste, a point in a space of six styles; every song is written near some country's taste,
its audio features show its style, and a country charts the songs nearest to its taste. That can be learnt.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from roadie.data.schema import PROPERTIES, RANKINGS
from roadie.data.tables import write_table

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Countries that share a line share a taste, roughly: the groups are neighbours or speak one language.
REGIONS = (
    "AR BO CL CO CR DO EC GT HN MX NI PA PE PY SV UY VE",
    "AU CA GB IE NZ US ZA NG",
    "AT CH DE LU NL BE FR",
    "DK FI IS NO SE",
    "BG CZ EE HU LT LV PL RO SK",
    "AE EG MA SA TR IL",
    "BY KZ UA",
    "HK ID JP KR MY PH SG TH TW VN",
    "BR PT",
    "ES GR IT",
    "IN PK",
)
COUNTRIES = tuple(sorted(" ".join(REGIONS).split()))
STYLES = 6  # dance, energy, acoustic, mood, tempo, speech: the columns of a style
BREADTH = 0.8  # how far songs stray from a taste, and how far listeners follow: the noise of the charts
CANDIDATES = 3000  # songs written; those that reach a chart, about 2,000, make the tables
CHART_LENGTH = 50  # entries of one chart on one day
FIRST_DAY = np.datetime64("2023-12-04", "D")
DAYS = 6
BASE62 = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
ADJECTIVES = ("Amber", "Borrowed", "Coastal", "Distant", "Electric", "Golden", "Hollow", "Midnight", "Paper")
NOUNS = ("Arcade", "Avenue", "Harbour", "Hearts", "Lanterns", "Letters", "Mirrors", "Rivers", "Signal")


def write(directory: Path, *, seed: int) -> None:
    """Write both raw tables to `directory`."""
    rng = np.random.default_rng(seed % 2**64)  # numpy takes no negative seed
    tastes = _tastes()
    home = rng.integers(len(COUNTRIES), size=CANDIDATES)
    styles = tastes[home] + BREADTH * rng.standard_normal((CANDIDATES, STYLES))
    ranks = _ranks(_scores(styles, tastes, rng), rng)
    songs = np.flatnonzero((ranks <= CHART_LENGTH).any(axis=(0, 2)))
    ids = np.array(["".join(row) for row in BASE62[rng.integers(62, size=(CANDIDATES, 22))]])
    write_table(_properties(ids[songs], styles[songs], rng), directory / PROPERTIES)
    write_table(_rankings(ids, ranks, rng), directory / RANKINGS)


def _tastes() -> Floats:
    """A style per country, [countries, STYLES], standardised; of one fixed draw, the same for every seed."""
    rng = np.random.default_rng(20231204)
    tastes = {}
    for region in REGIONS:
        centre = rng.standard_normal(STYLES)
        for country in region.split():
            tastes[country] = centre + 0.5 * rng.standard_normal(STYLES)
    table = np.array([tastes[country] for country in COUNTRIES])
    return np.asarray((table - table.mean(axis=0)) / table.std(axis=0))


def _scores(styles: Floats, tastes: Floats, rng: np.random.Generator) -> Floats:
    """How much each chart likes each song, [songs, countries + 1]; the last chart is the global one."""
    distance = np.square(styles[:, None, :] - tastes[None, :, :]).sum(axis=2)
    appeal = rng.standard_normal((len(styles), 1))
    liking = np.column_stack([0.3 * appeal - distance / (2 * BREADTH**2), 2 * appeal])
    # Gumbel noise makes the best of a chart a weighted draw without replacement.
    return liking + rng.gumbel(size=liking.shape)


def _ranks(scores: Floats, rng: np.random.Generator) -> Integers:
    """The rank of every song in every chart on every day, [days, songs, charts], 1 being the top."""
    daily = scores + 0.3 * rng.standard_normal((DAYS, *scores.shape)).cumsum(axis=0)
    return (-daily).argsort(axis=1).argsort(axis=1) + 1


def _rankings(ids: npt.NDArray[np.str_], ranks: Integers, rng: np.random.Generator) -> pl.DataFrame:
    day, song, chart = np.nonzero(ranks <= CHART_LENGTH)
    order = np.lexsort((ranks[day, song, chart], chart, day))
    day, song, chart = day[order], song[order], chart[order]
    rank = ranks[day, song, chart]
    popularity = 95 - 0.9 * rank + 6 * rng.standard_normal(rank.size)
    return pl.DataFrame(
        {
            "spotify_id": ids[song],
            "daily_rank": rank,
            "daily_movement": _movement(ranks[np.maximum(day - 1, 0), song, chart], rank),
            "weekly_movement": _movement(ranks[0, song, chart], rank),
            "country": np.array([*COUNTRIES, "global"])[chart],
            "popularity": popularity.clip(0, 100).round().astype(np.int64),
            "snapshot_date": FIRST_DAY + day,
        }
    ).with_columns(pl.col("country").replace("global", None), pl.col("snapshot_date").cast(pl.Datetime("us")))


def _movement(before: Integers, rank: Integers) -> Integers:
    """Places won since `before`; 0 for a song that was not in the chart then."""
    return np.where(before <= CHART_LENGTH, before - rank, 0)


def _properties(ids: npt.NDArray[np.str_], styles: Floats, rng: np.random.Generator) -> pl.DataFrame:
    """The songs' features, each style shown by those one would name for it, spread as in the real charts."""
    size = len(ids)
    dance, energy, acoustic, mood, tempo, speech = styles.T
    noise = rng.standard_normal((6, size))

    def names() -> list[str]:
        return [" ".join(pair) for pair in zip(rng.choice(ADJECTIVES, size), rng.choice(NOUNS, size), strict=True)]

    def bounded(values: Floats, low: float, high: float, digits: int = 3) -> Floats:
        return values.clip(low, high).round(digits)

    return pl.DataFrame(
        {
            "spotify_id": ids,
            "name": names(),
            "artists": names(),
            "is_explicit": speech + 0.8 * noise[0] - 0.75 > 0,
            "duration_ms": (191_000 * np.exp(0.2 * noise[1] - 0.12 * tempo)).clip(40_000, 640_000).astype(np.int64),
            "danceability": bounded(0.67 + 0.14 * dance, 0.05, 0.98),
            "energy": bounded(0.63 + 0.17 * energy, 0.02, 0.99),
            "key": rng.integers(12, size=size),
            "loudness": bounded(-7.1 + 2.2 * energy + 1.6 * noise[2], -40, 0),
            "mode": (mood + 1.5 * noise[3] > 0).astype(np.int64),
            "speechiness": bounded(np.exp(-2.6 + 0.6 * speech), 0.023, 0.65, 4),
            "acousticness": bounded(1 / (1 + np.exp(1.1 - 1.4 * acoustic)), 0.0001, 0.995, 4),
            "instrumentalness": bounded(np.exp(-11 + 3.5 * noise[4]), 0, 0.96, 6),
            "liveness": bounded(np.exp(-1.95 + 0.6 * noise[5]), 0.015, 0.97),
            "valence": bounded(0.54 + 0.22 * mood, 0.03, 0.98),
            "tempo": bounded(121 + 27 * tempo, 45, 220),
            "time_signature": rng.choice([3, 4, 5], size, p=[0.08, 0.9, 0.02]),
        }
    ).sort("spotify_id")
