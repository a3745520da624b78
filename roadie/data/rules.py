"""What an examples table must satisfy, declared as a dataframely schema, and each of its rules in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dataframely as dy
import polars as pl

from roadie.data.schema import FEATURES, GROUP, LABEL, PROPERTIES, RANKINGS

CODE = "a code of two capital letters (ISO 3166)"
DECIBEL = {"unit": " dB"}
PLAIN = ("nullability", "nan", "inf")  # no value at all: the other rules of a column say nothing then


def _flag() -> dy.Float64:
    return dy.Float64(check={"must be 0 or 1": lambda flag: flag.is_in([0.0, 1.0])})


def _share() -> dy.Float64:
    return dy.Float64(min=0, max=1)


class Examples(dy.Schema):
    """One (song, country) a row. The ranges are those of Spotify's audio features (Spotify Web API)."""

    spotify_id = dy.String(primary_key=True)
    country = dy.String(primary_key=True, regex="^[A-Z]{2}$", description=CODE)
    weight = dy.Int64(min=1)
    is_explicit = _flag()
    duration_ms = dy.Float64(min_exclusive=0)
    danceability = _share()
    energy = _share()
    key = dy.Float64(min=-1, max=11)  # pitch classes, -1 where none was heard
    loudness = dy.Float64(min=-60, max=10, metadata=DECIBEL)
    mode = _flag()
    speechiness = _share()
    acousticness = _share()
    instrumentalness = _share()
    liveness = _share()
    valence = _share()
    tempo = dy.Float64(min=0)

    @dy.rule()
    def one_description(cls) -> pl.Expr:  # noqa: N805  (dataframely makes it a class method)
        """A song is the same song in every country."""
        return pl.struct(FEATURES).n_unique().over(GROUP) == 1


@dataclass(frozen=True)
class Demand:
    """A demand on one `column` of a raw `table`, in words; it is kept where all of the schema's `rules` hold."""

    table: str
    column: str
    text: str
    rules: tuple[str, ...]
    shown: pl.Expr


def demands() -> Iterator[Demand]:
    """The schema's rules in words, those that say the same taken together, by column, and the plainest first."""
    for name, column in Examples.columns().items():
        texts: dict[str, list[str]] = {}
        for rule in sorted(column.validation_rules(pl.col(name)), key=lambda rule: rule not in PLAIN):
            texts.setdefault(_text(column, rule), []).append(f"{name}|{rule}")
        table = PROPERTIES if name in FEATURES else RANKINGS
        for text, rules in texts.items():
            yield Demand(table, name, text, tuple(rules), pl.col(name).cast(pl.String))
    differing = [pl.when(pl.col(name).n_unique().over(GROUP) > 1).then(pl.lit(name)) for name in FEATURES]
    differs = pl.lit("differs in ") + pl.concat_str(differing, separator=" and ", ignore_nulls=True)
    same = "must have the same features wherever it stands"
    yield Demand(PROPERTIES, GROUP, same, ("one_description",), differs)
    yield Demand(RANKINGS, GROUP, f"must stand once for each {LABEL}", ("primary_key",), pl.lit("repeated"))


def _text(column: Any, rule: str) -> str:
    """What a rule of a column asks for; `column` is one of dataframely's, whose attributes are its bounds."""
    unit = (column.metadata or {}).get("unit", "")
    if rule in PLAIN:
        return "must be a finite number" if isinstance(column, dy.Float64) else "must not be null"
    if rule == "regex":
        return f"must be {column.description}"
    if rule == "min_exclusive":
        return f"must be above {column.min_exclusive:g}{unit}"
    if rule in ("min", "max") and column.max is not None:
        return f"must lie between {column.min:g} and {column.max:g}{unit}"
    if rule == "min":
        return f"must be at least {column.min:g}{unit}"
    return rule.removeprefix("check__")
