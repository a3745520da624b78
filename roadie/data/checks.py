"""What an examples table must satisfy before anything is trained on it: a table of rules, and a report that reads."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from roadie.data.schema import FEATURES, FLAGS, GROUP, LABEL, PROPERTIES, RANKINGS, WEIGHT
from roadie.data.tables import count_rows, read_examples
from roadie.errors import DataError

TABLE_OF = dict.fromkeys((GROUP, LABEL, WEIGHT), RANKINGS) | dict.fromkeys(FEATURES, PROPERTIES)
SHOWN = 3  # examples of each failure
NAMED = 3  # failures in the one sentence of an error; the report has them all


@dataclass(frozen=True)
class Rule:
    """One demand on every row: `broken` is true where `column` of the raw `table` breaks it, `shown` says how."""

    table: str
    column: str
    text: str
    broken: pl.Expr
    shown: pl.Expr


@dataclass(frozen=True)
class Failure:
    """A broken rule: the raw table and column at fault, how many examples break it, and some of them in words."""

    table: str
    column: str
    rule: str
    count: int
    finding: str
    examples: tuple[str, ...]

    def __str__(self) -> str:
        shown = f" ({', '.join(self.examples)})" if self.examples else ""
        return f"column {self.column} of {self.table} {self.rule}, but {self.finding}{shown}"


def _rules() -> tuple[Rule, ...]:
    def rule(column: str, text: str, broken: pl.Expr) -> Rule:
        return Rule(TABLE_OF[column], column, text, broken, pl.col(column).cast(pl.String))

    def finite(column: str, text: str, broken: pl.Expr) -> Rule:
        return rule(column, text, pl.col(column).is_finite() & broken)  # what is not has a rule of its own

    def within(column: str, low: float, high: float, unit: str = "") -> Rule:
        return finite(column, f"must lie between {low:g} and {high:g}{unit}", ~pl.col(column).is_between(low, high))

    shares = ("danceability", "energy", "speechiness", "acousticness", "instrumentalness", "liveness", "valence")
    differing = [pl.when(pl.col(name).n_unique().over(GROUP) > 1).then(pl.lit(name)) for name in FEATURES]
    return (
        *(rule(name, "must not be null", pl.col(name).is_null()) for name in (GROUP, LABEL, WEIGHT)),
        rule(WEIGHT, "must be at least 1", pl.col(WEIGHT) < 1),
        rule(LABEL, "must be a code of two capital letters (ISO 3166)", ~pl.col(LABEL).str.contains("^[A-Z]{2}$")),
        *(rule(name, "must be a finite number", ~pl.col(name).is_finite().fill_null(value=False)) for name in FEATURES),
        *(finite(name, "must be 0 or 1", ~pl.col(name).is_in([0.0, 1.0])) for name in FLAGS),
        *(within(name, 0, 1) for name in shares),
        finite("duration_ms", "must be above 0", pl.col("duration_ms") <= 0),
        finite("tempo", "must not be negative", pl.col("tempo") < 0),
        within("loudness", -60, 10, " dB"),
        within("key", -1, 11),  # pitch classes, -1 where none was heard (Spotify Web API, audio features)
        Rule(
            PROPERTIES,
            GROUP,
            "must have the same features wherever it stands",
            pl.struct(FEATURES).n_unique().over(GROUP) > 1,
            pl.lit("differs in ") + pl.concat_str(differing, separator=" and ", ignore_nulls=True),
        ),
        Rule(
            RANKINGS,
            GROUP,
            "must stand once for each country",
            pl.struct(GROUP, LABEL, *FEATURES).is_duplicated(),
            pl.lit("repeated"),
        ),
    )


RULES = _rules()


@dataclass(frozen=True)
class CheckReport:
    """What a check found: the broken rules, and the table's size; `rows` counts chart entries."""

    rows: int
    examples: int
    songs: int
    countries: int
    failures: tuple[Failure, ...]

    @property
    def ok(self) -> bool:
        """Whether every rule holds."""
        return not self.failures

    def to_markdown(self) -> str:
        """The report as a page: the outcome, the table's size, and one line for each broken rule."""
        broken = f"{len(self.failures)} rules are broken" if len(self.failures) > 1 else "1 rule is broken"
        lines = [
            f"# Charts: {'every rule holds' if self.ok else broken}",
            "",
            f"{self.rows:,} chart entries, {self.examples:,} examples (a song in a country), {self.songs:,} songs, "
            f"{self.countries:,} countries.",
        ]
        if self.failures:
            lines += ["", "| table | column | rule | finding | examples |", "| --- | --- | --- | --- | --- |"]
        for failure in self.failures:
            examples = "<br>".join(_cell(example) for example in failure.examples)
            lines.append(f"| {failure.table} | {failure.column} | {failure.rule} | {failure.finding} | {examples} |")
        return "\n".join(lines) + "\n"

    def raise_on_failure(self) -> None:
        """Raise a DataError whose one sentence names the broken rules, if there are any."""
        if self.ok:
            return
        named = "; ".join(str(failure) for failure in self.failures[:NAMED])
        more = f"; and {len(self.failures) - NAMED} more" if len(self.failures) > NAMED else ""
        tables = " and ".join(dict.fromkeys(failure.table for failure in self.failures))
        raise DataError(f"The charts cannot be trained on: {named}{more}; mend {tables} and load the charts again")


def check(path: Path, *, minimum_songs: int = 100, minimum_countries: int = 2) -> CheckReport:
    """Check an examples table against every rule.

    Args:
        path: the examples table.
        minimum_songs: fewer cannot be split and judged.
        minimum_countries: fewer leave nothing to tell apart.

    Raises:
        DataError: the table cannot be read at all; broken rules are in the report instead.
    """
    table = read_examples(path)
    counts = table.select(rule.broken.sum().alias(str(number)) for number, rule in enumerate(RULES)).row(0)
    failures = [_failure(table, rule, count) for rule, count in zip(RULES, counts, strict=True) if count]
    for column, least, things in ((GROUP, minimum_songs, "songs"), (LABEL, minimum_countries, "countries")):
        found = table[column].drop_nulls().unique().sort()
        if len(found) < least:
            rule, examples = f"must name at least {least:,} {things}", tuple(map(_one_line, found.head(SHOWN)))
            failures.append(Failure(TABLE_OF[column], column, rule, len(found), f"names {len(found):,}", examples))
    return CheckReport(
        count_rows(table), table.height, table[GROUP].n_unique(), table[LABEL].n_unique(), tuple(failures)
    )


def _failure(table: pl.DataFrame, rule: Rule, count: int) -> Failure:
    broken = table.filter(rule.broken).select(GROUP, LABEL, rule.shown.fill_null("null").alias("shown"))
    # One example a song: what is wrong with a song is wrong in all its countries.
    songs = broken.unique(GROUP, keep="first", maintain_order=True)
    examples = (_one_line(f"{song} in {country}: {shown}") for song, country, shown in songs.head(SHOWN).iter_rows())
    finding = f"{count:,} of {table.height:,} examples, of {songs.height:,} song{'s' * (songs.height != 1)}, break that"
    return Failure(rule.table, rule.column, rule.text, count, finding, tuple(examples))


def _one_line(text: str) -> str:
    """Text of unknown origin without what would break a line, and not too long."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:80]


def _cell(text: str) -> str:
    """One line of text as a cell of a Markdown table, nothing in it being Markdown or HTML."""
    return "`" + text.replace("`", "'").replace("|", "/") + "`"
