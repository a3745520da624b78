"""The step that decides whether the challenger is better than the champion."""

from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from components._step import step


@step()
def evaluate(
    challenger: Input[Model],
    champion: Input[Model],
    holdout: Input[Dataset],
    report: Output[HTML],
    metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    samples: Output[Artifact],
    gate: dict[str, object],
    model_name: str = "model",
    columns: dict[str, str] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    dataset: Input[Dataset] = None,
) -> str:
    """Score challenger and champion on the same holdout and decide.

    The decision is promote, reject, inconclusive, or unchanged when both answer alike. A rejection is no
    failure: the run ends well and deploys nothing.

    Args:
        challenger: The model just trained.
        champion: What find_champion gave: the deployed model, or none.
        holdout: The rows that neither has been trained on.
        report: One page with the decision, its numbers and plots.
        metrics: The challenger's metrics on the holdout, and the decision.
        confusion: Confusion among the countries that are confused most.
        samples: Requests of the Open Inference Protocol with the challenger's answers, to try the served model with.
        gate: The gate's configuration (metric, mode, margin, confidence, floors); an empty one is refused.
        model_name: The model's name, for the report.
        columns: The holdout's columns `group`, `label` and `weight`, and what a group is called (`unit`), where they
            are not those of the charts.
        dataset: The new charts, to tell how far they are from those that the champion was trained on.

    Returns:
        The decision: promote, reject, inconclusive or unchanged.
    """
    from pathlib import Path

    from roadie import data, evaluation

    deployed = Path(champion.path) / "model"
    champion_model = deployed / "1"
    trained_on = data.read_summary(deployed / data.SUMMARY) if dataset else None
    drift = data.drift(Path(dataset.path), trained_on) if dataset and trained_on else None
    result = evaluation.evaluate(
        Path(challenger.path) / "1",
        champion_model if champion_model.exists() else None,
        Path(holdout.path),
        gate=gate,
        report=Path(report.path),
        columns=evaluation.Columns(**columns),
        champion_groups=deployed / evaluation.GROUPS_FILE,
        challenger_groups=Path(challenger.path) / evaluation.GROUPS_FILE,
        drift=drift.to_report() if drift else None,
        samples=Path(samples.path),
        facts={
            "model": model_name,
            "champion's version": str(champion.metadata.get("version", "")) or "none",
            "data": f"sha256:{challenger.metadata.get('data_sha256', '')}",
            "source": str(challenger.metadata.get("source", "")),
        },
    )
    decision = result.decision
    for name, value in {**result.metrics, **(drift.metrics if drift else {})}.items():
        metrics.log_metric(name, value)
    metrics.metadata.update(decision=decision.outcome, reason=decision.reason, override=result.override)
    confusion.log_confusion_matrix(list(result.confusion.labels), [list(row) for row in result.confusion.matrix])
    print(f"{decision.outcome}: {decision.reason}")
    return str(decision.outcome)
