"""What every trainer has in common: the settings of the graph around it, and what `fit` promises."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Fitted:
    """A fitted scikit-learn classifier, and its training loss per epoch where the method has epochs."""

    classifier: Any
    curve: tuple[float, ...] = ()


class Hyperparameters(BaseModel, ABC):
    """The hyperparameters that all trainers share; a trainer adds its own as fields.

    Whole numbers may come as floats (64.0 for 64): Kubeflow Pipelines makes floats of all numbers in a dict.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trainer: str = Field(description="Which trainer fits the model: mlp or logistic.")
    prior_share: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Share of the class prior mixed into the output; it bounds the harm an odd song can do.",
    )
    clip_sigma: float = Field(
        default=4.0,
        ge=1,
        le=100,
        description="Bound on the standardised features, on both sides.",
    )

    @abstractmethod
    def fit(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        weights: NDArray[np.float64],
        seed: int,
    ) -> Fitted:
        """Fit on standardised features [examples, features], labels and weights [examples].

        Labels are 0, 1, 2, ... without gaps; a weight is the chart entries an example stands for, over their mean.
        """
