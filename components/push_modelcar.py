"""The step that puts the model into the registry."""

from typing import NamedTuple

from kfp.dsl import Artifact, Input, Metrics, Model, Output

from components._step import step


@step(cache=False, retries=2)
def push_modelcar(
    model: Input[Model],
    metrics: Input[Metrics],
    image: str,
    pushed: Output[Artifact],
    version: str = "",
    model_name: str = "model",
    source: str = "",
    revision: str = "",
    trigger: str = "",
    base: str = "embedded",
) -> NamedTuple("Pushed", [("image", str), ("version", str), ("digest", str), ("provenance", dict)]):  # type: ignore[valid-type]
    """Package a model as a ModelCar image and push it; a version that exists is never given another meaning.

    The same inputs give the same image: nothing of the run or the time goes into it.

    Args:
        model: The model as a folder in the layout that is served, 1/model.onnx.
        metrics: The metrics to record in the image's annotations.
        image: The repository to push to, without a tag, such as registry.example.com/models/jukebox, or oci:FOLDER.
        pushed: What was pushed, as metadata.
        version: The tag; when empty, ten digits of the revision and twelve of the model's digest.
        model_name: The model's name, for the image's title.
        source: Address of the repository that holds the training code.
        revision: The commit of the training code.
        trigger: What started the training.
        base: The base image: `embedded`, `none`, or an image by digest.

    Returns:
        image: The image by digest.
        version: Its tag.
        digest: The digest alone.
        provenance: What made it, by name: digests of data and model, revision, metrics.
    """
    from pathlib import Path

    from roadie import modelcar

    result = modelcar.publish(
        Path(model.path),
        image,
        version=version,
        title=model_name,
        source=source,
        revision=revision,
        trigger=trigger,
        override=str(metrics.metadata.get("override", "")),
        base=base,
        data_digest=str(model.metadata.get("data_sha256", "")),
        # Its own figures alone: what it was compared with is not a property of the model.
        metrics={
            name.removeprefix("challenger_"): float(value)
            for name, value in metrics.metadata.items()
            if name.startswith("challenger_")
        },
    )
    pushed.metadata.update(image=result.reference, version=result.version, digest=result.digest, existed=result.existed)
    print(f"{result.reference} ({result.version}) {'was there already' if result.existed else 'pushed'}")
    return (result.reference, result.version, result.digest, dict(result.provenance))
