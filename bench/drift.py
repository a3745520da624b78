"""Drift of charts: false alarms where there is none, and what is found between two months.

    python bench/drift.py [--before DIRECTORY] [--after DIRECTORY] [--halves 300]

Without drift: the same songs, cut at random into two halves. "By row" are the same tests with every row of a song
counted, which is what one gets by handing the charts to a drift tool as they are. Without directories both are the
built-in sample, with another seed for the later one: other songs of the same tastes.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from roadie.data import FEATURES, GROUP, drift, load_charts, read_examples, summarise
from roadie.data.drifting import FALSE_ALARMS


def main() -> None:
    """Print both tables' false alarms, then the drift from one to the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default="sample")
    parser.add_argument("--after", default="sample")
    parser.add_argument("--halves", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before, after = folder / "before.parquet", folder / "after.parquet"
        for seed, (source, path) in enumerate(((options.before, before), (options.after, after))):
            found = load_charts(source, path, seed=seed)
            print(f"{path.stem}: {source}, {found.songs:,} songs, {found.rows:,} chart entries")
            print(f"  alarms in {options.halves} halves: {alarms(path, folder, options.halves)}")
        print("targets: at most 10% by song\n")
        print(drift(after, summarise(before)).to_markdown())
        print("the same, seeing only the countries that both have:", matched(before, after, folder))


def alarms(path: Path, folder: Path, halves: int) -> str:
    """The share of halves in which something is said to have moved, by each test and by all, by song and by row."""
    table = read_examples(path)
    songs = table[GROUP].unique().sort()
    counts = dict.fromkeys(("by song", "mean", "KS", "PSI > 0.1", "by row: mean", "by row: KS"), 0)
    for seed in range(halves):
        is_new = pl.col(GROUP).is_in(songs.sample(fraction=0.5, seed=seed).implode())
        new, old = table.filter(is_new), table.filter(~is_new)
        new.write_parquet(folder / "new.parquet")
        old.write_parquet(folder / "old.parquet")
        found = drift(folder / "new.parquet", summarise(folder / "old.parquet"))
        limit, each = FALSE_ALARMS / len(FEATURES), found.features.values()
        counts["by song"] += bool(found.moved)
        counts["mean"] += any(feature.shift_p < limit for feature in each)
        counts["KS"] += any(feature.ks_p < limit for feature in each)
        counts["PSI > 0.1"] += any(feature.psi > 0.1 for feature in each)
        rows, old_rows = (np.repeat(part.select(FEATURES).to_numpy(), part["weight"], axis=0) for part in (new, old))
        counts["by row: mean"] += bool((stats.ttest_ind(rows, old_rows, equal_var=False).pvalue < limit).any())
        counts["by row: KS"] += bool((stats.ks_2samp(rows, old_rows, method="asymp").pvalue < limit).any())
    return ", ".join(f"{name} {count / halves:.1%}" for name, count in counts.items())


def matched(before: Path, after: Path, folder: Path) -> str:
    """What moved among the songs of the countries that both tables have."""
    tables = [read_examples(before), read_examples(after)]
    both = set(tables[0]["country"]) & set(tables[1]["country"])
    for name, table in zip(("old", "new"), tables, strict=True):
        table.filter(pl.col("country").is_in(both)).write_parquet(folder / f"{name}.parquet")
    return drift(folder / "new.parquet", summarise(folder / "old.parquet")).sentence


if __name__ == "__main__":
    main()
