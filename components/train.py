"""The step that fits the challenger."""

from kfp.dsl import Dataset, Input, Metrics, Model, Output

from components._step import step


@step(
    packages=[
        "polars",
        "scikit-learn",
        "skl2onnx",
        "onnx",
        "onnxruntime",
        "threadpoolctl",
        "pydantic",
    ],
)
def train(
    examples: Input[Dataset],
    model: Output[Model],
    curves: Output[Metrics],
    scores: list[str] = [],  # noqa: B006
    hyperparameters: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    seed: int = 0,
) -> None:
    """Fit the model and export it to ONNX; the same rows, seed and kind of machine give the same bytes.

    The model takes the raw features by name, float32 [batch, 1] each, scales them inside the graph, and returns
    probabilities [batch, countries]; class labels and the order of features are in its metadata.

    Args:
        examples: The rows to train on, one per song and country with their weight.
        model: The model as a folder in OpenVINO's layout, 1/model.onnx.
        curves: Loss at the end and what the training cost.
        scores: What cross_validate gave for each set of a sweep; the best set is taken in place of `hyperparameters`.
        hyperparameters: Hyperparameters by name; those left out have their defaults, unknown ones are refused.
        seed: Seed of the initialisation and the order of batches.
    """
    from pathlib import Path

    from roadie import data, evaluation, training

    if scores:
        sweep = [training.Score.from_json(score) for score in scores]
        hyperparameters = dict(training.choose(sweep).hyperparameters)
        print(training.to_markdown(sweep))
    trained = training.train(Path(examples.path), Path(model.path), hyperparameters=hyperparameters, seed=seed)
    songs = data.read_examples(Path(examples.path))[data.GROUP]
    (Path(model.path) / evaluation.GROUPS_FILE).write_bytes(evaluation.group_digests(songs))
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
