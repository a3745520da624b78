"""The step that sets the holdout aside."""

from typing import Optional

from kfp.dsl import Dataset, Input, Output

from components._step import step


@step(packages=["polars"])
def split_data(
    dataset: Input[Dataset],
    train: Output[Dataset],
    holdout: Output[Dataset],
    holdout_share: float = 0.2,
    since: str = "",
    seed: int = 0,
    group: str = "spotify_id",
    label: str = "country",
    fixed: Optional[Input[Dataset]] = None,  # noqa: UP045 - the only way that KFP reads
) -> None:
    """Split the dataset into a training part and a holdout, with no song on both sides.

    A song keeps its side when more charts arrive, so a champion has not been trained on the holdout of its successors.

    Args:
        dataset: The table that load_charts wrote.
        train: The rows to train on.
        holdout: The rows that challenger and champion are scored on.
        holdout_share: Share of the songs that goes into the holdout, between 0 and 1.
        since: A date (ISO 8601) that takes the share's place: held out are the songs first seen on it or later.
        seed: Seed of the split; keep it over a model's life, or a champion meets songs that it was trained on.
        group: The column of what must not stand on both sides.
        label: The column of what is predicted.
        fixed: A holdout of an earlier split that takes the share's place; an empty file is none.
    """
    from pathlib import Path

    from roadie import data

    parts = data.split(
        Path(dataset.path),
        Path(train.path),
        Path(holdout.path),
        share=holdout_share,
        since=since,
        seed=seed,
        group=group,
        label=label,
        fixed=Path(fixed.path) if fixed and Path(fixed.path).stat().st_size else None,
    )
    for artifact, part in ((train, parts.train), (holdout, parts.holdout)):
        artifact.metadata.update(
            sha256=part.sha256,
            rows=part.rows,
            songs=part.songs,
            imbalance=parts.imbalance,
            dataset_sha256=dataset.metadata.get("sha256", ""),
            source=dataset.metadata.get("source", ""),
        )
    print(f"{parts.train.songs:,} songs to train on, {parts.holdout.songs:,} held out")
