"""Another team's model on the same road: a scikit-learn classifier of wines.

The two steps below are the team's own, plain KFP components. Everything behind them is Roadie's and knows nothing of
wines: the split by bottle, the gate, the image and the commits.
"""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output

from components.bump_version import bump_version
from components.evaluate import evaluate
from components.find_champion import find_champion
from components.push_modelcar import push_modelcar
from components.split_data import split_data

PACKAGES = ["polars==2.1.0", "scikit-learn==1.9.1", "skl2onnx==1.20.0", "onnx==1.23.2"]
GATE = {"metric": "log_loss", "minimum_songs": 20, "floors": {"top_1": 0.8}}


@dsl.component(base_image="python:3.11", packages_to_install=PACKAGES)
def load_wines(table: Output[Dataset]) -> None:
    """Write the wines of scikit-learn: a row per bottle, its cultivar, a weight, and thirteen measurements."""
    import polars
    from sklearn.datasets import load_wine

    wine = load_wine()
    polars.DataFrame(
        {
            "bottle": [f"bottle-{number:03}" for number in range(len(wine.target))],
            "cultivar": [f"cultivar {number}" for number in wine.target],
            "weight": [1] * len(wine.target),
            **{name: wine.data[:, index] for index, name in enumerate(wine.feature_names)},
        }
    ).write_parquet(table.path)


@dsl.component(base_image="python:3.11", packages_to_install=PACKAGES)
def train_wines(examples: Input[Dataset], model: Output[Model], strength: float = 1.0) -> None:
    """Fit a classifier and export it: one matrix in, `probabilities` out, and what both mean in the metadata."""
    import json
    from pathlib import Path

    import polars
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = polars.read_parquet(examples.path)
    features = [name for name in table.columns if name not in ("bottle", "cultivar", "weight")]
    matrix = table.select(features).to_numpy().astype("float32")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=strength))
    classifier.fit(matrix, table["cultivar"].to_numpy())

    onnx = to_onnx(classifier, matrix[:1], options={"zipmap": False}, target_opset=18)
    for key, value in (("roadie.features", features), ("roadie.classes", list(classifier.classes_))):
        onnx.metadata_props.add(key=key, value=json.dumps(value))
    path = Path(model.path) / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(onnx.SerializeToString(deterministic=True))


@dsl.pipeline(name="wine")  # type: ignore[untyped-decorator]
def wine(
    image: str,
    gitops_repo: str,
    strength: float = 1.0,
    gate: dict[str, object] = GATE,
    step_image: str = "",
) -> None:
    """Train on wines, prove it, package it, deploy it to test and stage.

    Args:
        image: The repository of the model's images without a tag.
        gitops_repo: Address of the GitOps repository, whose values files hold applications.wine.values.version.
        strength: Inverse strength of the penalty.
        gate: What a challenger must reach.
        step_image: The image with the code of Roadie's steps; runs here need none.
    """
    road = {"step_image": step_image, "model_name": "wine"}
    champion = find_champion(gitops_repo=gitops_repo, image=image, **road)
    table = load_wines().after(champion).outputs["table"]
    parts = split_data(step_image=step_image, dataset=table, split={"share": 0.3}, group="bottle", label="cultivar")
    trained = train_wines(examples=parts.outputs["train"], strength=strength)
    decided = evaluate(
        challenger=trained.outputs["model"],
        champion=champion.outputs["champion"],
        holdout=parts.outputs["holdout"],
        gate=gate,
        columns={"group": "bottle", "label": "cultivar", "unit": "bottles"},
        **road,
    )
    with dsl.If(decided.outputs["Output"] == "promote"):
        pushed = push_modelcar(model=trained.outputs["model"], metrics=decided.outputs["metrics"], image=image, **road)
        version = {name: pushed.outputs[name] for name in ("version", "digest", "provenance")}
        for environment in ("test", "stage"):
            bump = bump_version(
                gitops_repo=gitops_repo,
                environment=environment,
                replacing=champion.outputs[f"{environment}_held"],
                **version,
                **road,
            )
            bump.set_display_name(f"bump-version-{environment}")
