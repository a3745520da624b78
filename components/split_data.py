"""The step that sets the holdout aside."""

from kfp.dsl import Dataset, Input, Output

from components._step import step


# What lies behind the address of a fixed holdout changes under it.
@step(cache=False)
def split_data(
    dataset: Input[Dataset],
    train: Output[Dataset],
    holdout: Output[Dataset],
    split: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    group: str = "spotify_id",
    label: str = "country",
) -> None:
    """Split the dataset into a training part and a holdout, with no song on both sides.

    A song keeps its side when more charts arrive, so a champion has not been trained on the holdout of its successors.

    Args:
        dataset: The table that load_charts wrote.
        train: The rows to train on.
        holdout: The rows that challenger and champion are scored on.
        split: How the holdout is set aside (share, since, fixed, seed); AWS variables open a fixed one in a bucket.
        group: The column of what must not stand on both sides.
        label: The column of what is predicted.
    """
    from pathlib import Path

    from roadie import data

    settings = data.SplitSettings.parse(split)
    parts = data.set_aside(Path(dataset.path), Path(train.path), Path(holdout.path), settings, group=group, label=label)
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
