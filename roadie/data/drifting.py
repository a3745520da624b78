"""Drift: how far new charts have moved from those that a model was trained on, song by song.

Songs and not rows are what is counted, because the rows of one song are alike: tests on rows see drift in any two
tables. What it says is for people and for the report; it decides nothing. See docs/decisions/data-drift.md.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from roadie.data.schema import FEATURES
from roadie.data.summaries import FeatureSummary, Summary, summarise, values_by_song
from roadie.data.tables import read_examples

FALSE_ALARMS = 0.05  # the chance of one for each of the two tests, over all features (Bonferroni)


@dataclass(frozen=True)
class FeatureDrift:
    """How one feature moved. By song, new against reference.

    `shift` is the difference of the means in standard deviations, `shift_p` the chance of one as large without drift
    (Welch's test); `ks` is the largest distance of the distribution functions, as far as the reference's quantiles
    tell, and `ks_p` its chance (Kolmogorov and Smirnov); `psi` is the population stability index over the
    reference's deciles, for which 0.1 is commonly called small and 0.25 large. `moved`: either chance is too small.
    """

    mean: float
    reference_mean: float
    shift: float
    shift_p: float
    ks: float
    ks_p: float
    psi: float
    moved: bool


@dataclass(frozen=True)
class LabelDrift:
    """How the shares of chart entries moved.

    `distance` is their total variation, half the sum of the differences: 0 where nothing moved, 1 where everything did.
    """

    distance: float
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]


@dataclass(frozen=True)
class Drift:
    """The drift of a table against a summary, with the digests of the table and of what was summarised."""

    sha256: str
    reference_sha256: str
    songs: int
    reference_songs: int
    features: dict[str, FeatureDrift]
    labels: LabelDrift

    @property
    def moved(self) -> tuple[str, ...]:
        """The features that moved, by how surely they did."""
        chances = {name: min(each.shift_p, each.ks_p) for name, each in self.features.items() if each.moved}
        return tuple(sorted(chances, key=lambda name: (chances[name], name)))

    @property
    def sentence(self) -> str:
        """What moved, for one line of a log or a report."""
        moved = f"{len(self.moved)} of {len(self.features)} features moved" + (": " if self.moved else "")
        labels = [
            f"{len(names)} countries {verb} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"  # noqa: PLR2004
            for verb, names in (("appeared", self.labels.appeared), ("vanished", self.labels.vanished))
            if names
        ]
        shares = f"{self.labels.distance:.0%} of the chart entries are of other countries than before"
        return "; ".join([moved + ", ".join(self.moved), shares, *labels])

    @property
    def metrics(self) -> dict[str, float]:
        """All figures by name, as KFP's Metrics takes them."""
        figures = {"drift_features_moved": float(len(self.moved)), "drift_labels": self.labels.distance}
        for name, each in self.features.items():
            figures |= {f"drift_{name}_shift": each.shift, f"drift_{name}_ks": each.ks, f"drift_{name}_psi": each.psi}
        return figures

    def to_json(self) -> str:
        """One line of JSON, the same for the same drift."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    def to_report(self) -> dict[str, object]:
        """As the gate's report shows it."""
        features = [
            {"name": name, "mean_shift": each.shift, "ks": each.ks, "psi": each.psi, "alarm": each.moved}
            for name, each in self.features.items()
        ]
        labels = {
            "distance": self.labels.distance,
            "appeared": list(self.labels.appeared),
            "vanished": list(self.labels.vanished),
        }
        return {"summary": f"{self.sentence}.", "features": features, "labels": labels}

    def to_markdown(self) -> str:
        """A page: the sentence, and a line for each feature, those that moved first."""
        lines = [
            "# Drift",
            "",
            f"{self.sentence}.",
            "",
            f"{self.songs:,} songs against the {self.reference_songs:,} of the champion's training.",
            "",
            "| feature | mean | before | shift | p | KS | p | PSI | |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        for name in dict.fromkeys((*self.moved, *self.features)):
            each = self.features[name]
            lines.append(
                f"| {name} | {each.mean:,.4g} | {each.reference_mean:,.4g} | {each.shift:+.2f} sd | {each.shift_p:.2g} "
                f"| {each.ks:.3f} | {each.ks_p:.2g} | {each.psi:.3f} | {'moved' if each.moved else ''} |"
            )
        return "\n".join(lines) + "\n"


def drift(new: Path, reference: Summary) -> Drift:
    """Compare an examples table that passed the check with the summary of what a model was trained on.

    Raises:
        DataError: the table cannot be read, or a feature is not finite.
    """
    now = summarise(new)
    songs = values_by_song(read_examples(new))
    return Drift(
        sha256=now.sha256,
        reference_sha256=reference.sha256,
        songs=now.songs,
        reference_songs=reference.songs,
        features={name: _compare(songs[name].sort(), now, reference, name) for name in FEATURES},
        labels=_labels(now.countries, reference.countries),
    )


def _compare(values: pl.Series, now: Summary, reference: Summary, name: str) -> FeatureDrift:
    own, before = now.features[name], reference.features[name]
    difference = own.mean - before.mean
    error = math.hypot(own.std / math.sqrt(now.songs), before.std / math.sqrt(reference.songs))
    shift_p = math.erfc(abs(difference) / error / math.sqrt(2)) if error else float(difference == 0)
    ks = _ks(values, before, reference.levels)
    ks_p = _kolmogorov(ks * math.sqrt(now.songs * reference.songs / (now.songs + reference.songs)))
    return FeatureDrift(
        mean=own.mean,
        reference_mean=before.mean,
        shift=_rounded(difference / (math.sqrt((own.std**2 + before.std**2) / 2) or 1.0)),
        shift_p=_rounded(shift_p),
        ks=_rounded(ks),
        ks_p=_rounded(ks_p),
        psi=_rounded(_psi(values, before, reference.levels)),
        moved=min(shift_p, ks_p) < FALSE_ALARMS / len(FEATURES),
    )


def _ks(values: pl.Series, before: FeatureSummary, levels: tuple[float, ...]) -> float:
    """The least that the distance of the distribution functions can be, seeing the reference's quantiles.

    A quantile q at the level p says F(q-) <= p <= F(q), whether or not many songs have that very value.
    """
    least = 0.0
    for quantile, level in zip(before.quantiles, levels, strict=True):
        below, up_to = _share_below(values, quantile)
        least = max(least, below - level, level - up_to)
    return least


def _share_below(values: pl.Series, bound: float) -> tuple[float, float]:
    """The share of the sorted values below `bound`, and that of those up to it."""
    # The summary keeps nine digits: values that differ from a quantile by less are the quantile.
    margin = abs(bound) * 1e-8
    below = values.search_sorted(bound - margin, side="left")
    up_to = values.search_sorted(bound + margin, side="right")
    return below / len(values), up_to / len(values)


def _psi(values: pl.Series, before: FeatureSummary, levels: tuple[float, ...]) -> float:
    """Sum of (new - old) * ln(new / old) over the bins between the reference's deciles (Siddiqi, 2006).

    Where many songs share one value, deciles coincide and bins merge.
    """
    deciles = {edge for edge, level in zip(before.quantiles, levels, strict=True) if round(level * 10, 6).is_integer()}
    # Of equal quantiles the last: its level is the share of songs up to that value.
    up_to = dict(zip(before.quantiles, levels, strict=True))
    inner = [(edge, level) for edge, level in up_to.items() if edge in deciles and level < 1]
    old = _differences([level for _, level in inner])
    new = _differences([_share_below(values, edge)[1] for edge, _ in inner])
    # Half a song more in every bin, so that an empty one is not infinitely far away.
    smoothed = [(share * len(values) + 0.5) / (len(values) + 0.5 * len(new)) for share in new]
    return sum((now - then) * math.log(now / then) for now, then in zip(smoothed, old, strict=True) if then > 0)


def _differences(shares: list[float]) -> list[float]:
    return [high - low for low, high in zip([0.0, *shares], [*shares, 1.0], strict=True)]


def _kolmogorov(value: float) -> float:
    """The chance of a larger value under Kolmogorov's distribution (Kolmogorov, 1933)."""
    if value < 0.2:  # noqa: PLR2004  (there it is 1 to a dozen digits, and the series converges slowly)
        return 1.0
    terms = (2 * (-1.0) ** (k - 1) * math.exp(-2 * k * k * value * value) for k in range(1, 101))
    return min(max(sum(terms), 0.0), 1.0)


def _labels(now: Mapping[str, int], before: Mapping[str, int]) -> LabelDrift:
    names = sorted({*now, *before})
    entries, entries_before = sum(now.values()), sum(before.values())
    differences = (abs(now.get(name, 0) / entries - before.get(name, 0) / entries_before) for name in names)
    return LabelDrift(
        distance=_rounded(sum(differences) / 2),
        appeared=tuple(name for name in names if name not in before),
        vanished=tuple(name for name in names if name not in now),
    )


def _rounded(figure: float) -> float:
    return float(f"{figure:.6g}")
