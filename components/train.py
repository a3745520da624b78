"""The step that fits the challenger."""

from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components._step import step


@step(minutes=0)
def train(
    examples: Input[Dataset],
    model: Output[Model],
    curves: Output[Metrics],
    hyperparameters: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    sweep: list[dict[str, object]] = [],  # noqa: B006
    folds: int = 5,
    seed: int = 0,
) -> None:
    """Fit the model and export it to ONNX; the same rows, seed and kind of machine give the same bytes.

    The model takes the raw features by name, float32 [batch, 1] each, scales them inside the graph, and returns
    probabilities [batch, countries]; class labels and the order of features are in its metadata.

    Args:
        examples: The rows to train on, one per song and country with their weight.
        model: The model as a folder in OpenVINO's layout, 1/model.onnx.
        curves: Loss at the end and what the training cost.
        hyperparameters: Hyperparameters by name; those left out have their defaults, unknown ones are refused.
        sweep: Sets of changes to `hyperparameters`; each is scored on the examples, every song judged by a model that
            has not seen it, and the best is trained. Empty to train what `hyperparameters` says.
        folds: How many parts the songs are dealt to for the sweep.
        seed: Seed of the initialisation, the order of batches and the folds.
    """
    from pathlib import Path

    from roadie import data, evaluation, training

    table = Path(examples.path)
    if sweep:
        scores = training.score_each(table, hyperparameters, sweep, folds=folds, seed=seed)
        print(training.to_markdown(scores))
        hyperparameters = dict(training.choose(scores).hyperparameters)
    trained = training.train(table, Path(model.path), hyperparameters=hyperparameters, seed=seed)
    rows = data.read_examples(table)
    (Path(model.path) / evaluation.GROUPS_FILE).write_bytes(evaluation.group_digests(rows[data.GROUP]))
    (Path(model.path) / evaluation.ROWS_FILE).write_bytes(evaluation.row_digests(rows.select(data.FEATURES)))
    model.framework = "onnx"
    model.metadata.update(
        sha256=trained.sha256,
        data_sha256=examples.metadata.get("dataset_sha256", ""),
        source=examples.metadata.get("source", ""),
        seed=seed,
        hyperparameters=dict(trained.hyperparameters),
        curve=list(trained.curve),
        libraries=dict(trained.libraries),
    )
    if trained.curve:
        curves.log_metric("final_loss", trained.curve[-1])
    curves.log_metric("seconds", trained.seconds)
    print(f"model.onnx sha256:{trained.sha256} after {trained.seconds:.1f} s on {trained.songs:,} songs")
