"""The check of an examples table before anything is trained on it, and a report that reads."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from roadie.data.schema import GROUP, LABEL, RANKINGS
from roadie.data.tables import count_rows, read_examples
from roadie.errors import DataError

if TYPE_CHECKING:
    from roadie.data.rules import Demand

SHOWN = 3  # examples of each failure
NAMED = 3  # failures in the one sentence of an error; the report has them all


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
    failures = _broken_rules(table)
    for column, least, things in ((GROUP, minimum_songs, "songs"), (LABEL, minimum_countries, "countries")):
        found = table[column].drop_nulls().unique().sort()
        if len(found) < least:
            rule, examples = f"must name at least {least:,} {things}", tuple(map(_one_line, found.head(SHOWN)))
            failures.append(Failure(RANKINGS, column, rule, len(found), f"names {len(found):,}", examples))
    return CheckReport(
        count_rows(table), table.height, table[GROUP].n_unique(), table[LABEL].n_unique(), tuple(failures)
    )


def _broken_rules(table: pl.DataFrame) -> list[Failure]:
    """What dataframely finds, in our words; a row counts once for a column, under the plainest rule that it breaks."""
    from roadie.data.rules import Examples, demands  # here, so that only a check loads dataframely

    _, failure = Examples.filter(table)
    broken, counts = failure.details(), failure.counts()
    failures, seen = [], dict.fromkeys(table.columns, pl.lit(value=False))
    for demand in demands():
        if rules := counts.keys() & demand.rules:
            here = pl.any_horizontal(pl.col(name) == "invalid" for name in sorted(rules))
            rows = broken.filter(here & ~seen[demand.column])
            seen[demand.column] |= here
            if not rows.is_empty():
                failures.append(_failure(rows, demand, of=table.height))
    return failures


def _failure(broken: pl.DataFrame, demand: "Demand", *, of: int) -> Failure:
    # One example a song: what is wrong with a song is wrong in all its countries.
    shown = broken.select(GROUP, LABEL, demand.shown.fill_null("null").alias("shown"))
    songs = shown.unique(GROUP, keep="first", maintain_order=True)
    examples = (_one_line(f"{song} in {country}: {shown}") for song, country, shown in songs.head(SHOWN).iter_rows())
    finding = f"{broken.height:,} of {of:,} examples, of {songs.height:,} song{'s' * (songs.height != 1)}, break that"
    return Failure(demand.table, demand.column, demand.text, broken.height, finding, tuple(examples))


def _one_line(text: str) -> str:
    """Text of unknown origin without what would break a line, and not too long."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:80]


def _cell(text: str) -> str:
    """One line of text as a cell of a Markdown table, nothing in it being Markdown or HTML, whoever renders it."""
    return "`" + html.escape(text.replace("`", "'").replace("|", "/"), quote=False) + "`"
