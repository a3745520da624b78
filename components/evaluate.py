"""The step that decides whether the challenger is better than the champion."""

from kfp.dsl import HTML, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from components._step import step


@step(
    packages=["polars", "numpy", "onnxruntime", "pydantic", "matplotlib", "Jinja2"],
)
def evaluate(
    challenger: Input[Model],
    champion: Input[Model],
    holdout: Input[Dataset],
    report: Output[HTML],
    metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    gate: dict[str, object],
    model_name: str = "model",
) -> str:
    """Score challenger and champion on the same holdout and decide.

    The decision is promote, reject, inconclusive, or unchanged when both are the same bytes. A rejection is no
    failure: the run ends well and deploys nothing.

    Args:
        challenger: The model just trained.
        champion: What find_champion gave: the deployed model, or none.
        holdout: The rows that neither has been trained on.
        report: One page with the decision, its numbers and plots.
        metrics: The challenger's metrics on the holdout, and the decision.
        confusion: Confusion among the countries that are confused most.
        gate: The gate's configuration (metric, mode, margin, confidence, floors); an empty one is refused.
        model_name: The model's name, for the report.

    Returns:
        The decision: promote, reject, inconclusive or unchanged.
    """
    from pathlib import Path

    from roadie import evaluation

    champion_model = Path(champion.path) / "model" / "1" / "model.onnx"
    result = evaluation.evaluate(
        Path(challenger.path) / "1" / "model.onnx",
        champion_model if champion_model.exists() else None,
        Path(holdout.path),
        gate=gate,
        report=Path(report.path),
        facts={
            "model": model_name,
            "champion's version": str(champion.metadata.get("version", "")) or "none",
            "data": f"sha256:{challenger.metadata.get('data_sha256', '')}",
            "source": str(challenger.metadata.get("source", "")),
        },
    )
    decision = result.decision
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
    metrics.metadata.update(decision=decision.outcome, reason=decision.reason)
    confusion.log_confusion_matrix(list(result.confusion.labels), [list(row) for row in result.confusion.matrix])
    print(f"{decision.outcome}: {decision.reason}")
    return str(decision.outcome)
