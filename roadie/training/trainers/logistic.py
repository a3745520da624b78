"""The plain trainer: multinomial logistic regression, nearly as good, a third of the size."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from roadie.training.hyperparameters import Fitted, Hyperparameters


class Logistic(Hyperparameters):
    """scikit-learn's LogisticRegression with the lbfgs solver; the seed changes nothing here."""

    trainer: Literal["logistic"] = Field(default="logistic", description="Multinomial logistic regression.")
    inverse_l2: float = Field(
        default=0.2,
        gt=0,
        le=1e6,
        description="Inverse strength of the penalty on the squared weights (C).",
    )
    iterations: int = Field(default=200, ge=1, le=100_000, description="The solver's steps at most.")

    def fit(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        weights: NDArray[np.float64],
        seed: int,
    ) -> Fitted:
        """Fit until the solver converges or its steps are used up; there is no curve."""
        classifier = LogisticRegression(C=self.inverse_l2, max_iter=self.iterations, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(features, labels, sample_weight=weights)
        return Fitted(classifier)
