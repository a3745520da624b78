"""The data room: from chart tables, wherever they lie, to the two sides of a split by song.

``load_charts`` reads the jukebox tables from the built-in sample, a folder, the web or S3, joins them and
writes the examples table: one row per (song, country) with a weight and the 13 ``FEATURES``. ``check`` says
which rules that table breaks, ``profile`` draws it, ``split`` divides it so that no song stands on both sides
(``set_aside`` by a pipeline's ``SplitSettings``),
``read_examples`` reads it back, ``summarise`` puts it in figures that travel with a model, and ``drift`` says how
far newer charts are from those. ``fetch_table`` brings a holdout of an earlier run, ``write_sample`` makes the
sample's raw tables. Equal input gives equal bytes, and everything written is described by its SHA-256. Whatever is
wrong with a source or a table is a ``roadie.errors.DataError`` that names the file, the column and what to do.
"""

from roadie.data.charts import Dataset, load_charts
from roadie.data.checks import CheckReport, Failure, check
from roadie.data.drifting import Drift, FeatureDrift, LabelDrift, drift
from roadie.data.profiles import profile
from roadie.data.schema import FEATURES, GROUP, LABEL, WEIGHT
from roadie.data.sources import SourceFile, fetch_table, write_sample
from roadie.data.splitting import Part, Split, SplitSettings, balanced_seed, set_aside, split
from roadie.data.summaries import SUMMARY, FeatureSummary, Summary, read_summary, summarise
from roadie.data.tables import file_sha256, read_examples

__all__ = [
    "FEATURES",
    "GROUP",
    "LABEL",
    "SUMMARY",
    "WEIGHT",
    "CheckReport",
    "Dataset",
    "Drift",
    "Failure",
    "FeatureDrift",
    "FeatureSummary",
    "LabelDrift",
    "Part",
    "SourceFile",
    "Split",
    "SplitSettings",
    "Summary",
    "balanced_seed",
    "check",
    "drift",
    "fetch_table",
    "file_sha256",
    "load_charts",
    "profile",
    "read_examples",
    "read_summary",
    "set_aside",
    "split",
    "summarise",
    "write_sample",
]
