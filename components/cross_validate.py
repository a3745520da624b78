"""The step that scores one set of hyperparameters."""

from kfp.dsl import Dataset, Input

from components._step import step


@step(packages=["polars", "scikit-learn", "skl2onnx", "onnx", "onnxruntime", "threadpoolctl", "pydantic"])
def cross_validate(
    examples: Input[Dataset],
    changes: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    hyperparameters: dict[str, object] = {},  # noqa: B006
    folds: int = 5,
    seed: int = 0,
) -> str:
    """Score one set of hyperparameters on the training songs, every song judged by a model that has not seen it.

    Args:
        examples: The rows to train on; the holdout has no part in the choice.
        changes: What this set of a sweep changes of `hyperparameters`.
        hyperparameters: What all sets have in common.
        folds: How many parts the songs are dealt to; with 0 nothing is fitted, which does for a set that is alone.
        seed: Seed of the folds and of each fit.

    Returns:
        The score as one line of JSON, for `train`.
    """
    from pathlib import Path

    from roadie import training

    score = training.cross_validate(
        Path(examples.path), hyperparameters={**hyperparameters, **changes}, seed=seed, folds=folds
    )
    print(training.to_markdown([score]))
    return str(score.to_json())
