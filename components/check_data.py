"""The step that refuses a broken table before anything is trained on it."""

from kfp.dsl import HTML, Dataset, Input, Markdown, Output

from components._step import step


@step()
def check_data(dataset: Input[Dataset], report: Output[Markdown], profile: Output[HTML]) -> None:
    """Check the dataset against the rules that training relies on, and fail when one is broken.

    Args:
        dataset: The table that load_charts wrote.
        report: The table's size and every broken rule with its column, count and examples; written before failing.
        profile: What the dataset looks like, a plot for every column.
    """
    from pathlib import Path

    from roadie import data

    checked = data.check(Path(dataset.path))
    Path(report.path).write_text(checked.to_markdown(), encoding="utf-8")
    data.profile(Path(dataset.path), Path(profile.path))
    checked.raise_on_failure()
