"""The report's plots as inline SVG: no colour of their own, text as text, the same bytes for the same numbers."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from roadie.evaluation.bootstrap import Comparison
from roadie.evaluation.metrics import Floats

# matplotlib draws in these colours, and the page's style sheet says what they are in light and in dark.
INK, MUTED, CHALLENGER, REFERENCE, GOOD, BAD = (f"#00000{digit}" for digit in "123456")
VARIABLES = {
    INK: "currentColor",
    MUTED: "var(--line)",
    CHALLENGER: "var(--challenger)",
    REFERENCE: "var(--reference)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
}
STYLE: Any = {  # matplotlib types its keys one by one
    "svg.fonttype": "none",  # letters stay letters: small files, and the page's own font
    "text.parse_math": False,  # a label with a dollar sign is not TeX
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that the layout is the same everywhere
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": MUTED,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}
WIDTH = 4.6  # inches of 72 points: about a phone's width, so that letters keep their size there


def draw(name: str, height: float, paint: Callable[[Axes], None]) -> Markup:
    """Draw one plot as an SVG element; `name` is what a screen reader says."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        paint(figure.add_subplot())
        stream = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    # Ids of groups repeat from plot to plot; those of clip paths and markers are salted, and used.
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    label = str(Markup.escape(name))
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1))  # noqa: S704 -- matplotlib escapes


def interval(found: Comparison, threshold: float) -> Markup:
    """The improvement with its bounds, and the line that the lower one has to pass."""

    def paint(axes: Axes) -> None:
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1)
        axes.plot([found.lower, found.upper], [0, 0], color=CHALLENGER, linewidth=4, solid_capstyle="butt")
        axes.plot([found.improvement], [0], color=CHALLENGER, marker="o", markersize=11)
        axes.set(yticks=[], ylim=(-1, 1))
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.12)

    return draw("Improvement and its bounds", 0.7, paint)


def reliability(calibration: Mapping[str, Floats]) -> Markup:
    """Confidence in the first answer against how often it was right; a perfect model lies on the diagonal."""

    def paint(axes: Axes) -> None:
        top = max(float(bins[:, 1:].max()) for bins in calibration.values()) * 1.1 or 1
        axes.plot([0, top], [0, top], color=MUTED, linestyle="--", linewidth=1)
        for (role, bins), colour, marker in zip(calibration.items(), (CHALLENGER, REFERENCE), "os", strict=True):
            axes.plot(bins[:, 1], bins[:, 2], color=colour, marker=marker, markersize=5, linewidth=1, label=role)
        axes.set(xlim=(0, top), ylim=(0, top), xlabel="confidence in the first answer", ylabel="share right")
        axes.legend(loc="upper left")

    return draw("Reliability", 3.6, paint)


def bars(title: str, labels: Sequence[str], values: Sequence[float]) -> Markup:
    """Horizontal bars, the first on top; what is below zero in another colour."""

    def paint(axes: Axes) -> None:
        places = np.arange(len(labels))
        axes.barh(places, values, color=[GOOD if value >= 0 else BAD for value in values], height=0.7)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(places, [label[:20] for label in labels])  # or a long one leaves no room
        axes.invert_yaxis()
        axes.margins(y=0.01)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(title)

    return draw(title, 0.9 + 0.22 * len(labels), paint)


def training_curve(losses: Sequence[float]) -> Markup:
    """Training loss per epoch."""

    def paint(axes: Axes) -> None:
        axes.plot(range(1, len(losses) + 1), losses, color=CHALLENGER)
        axes.set(xlabel="epoch", ylabel="training loss")

    return draw("Training curve", 2.8, paint)
