"""The default trainer: a small multi-layer perceptron."""

import math
import warnings
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from roadie.training.hyperparameters import Fitted, Hyperparameters

NEARLY_FULL = 0.9  # of a mini-batch, for the last one
Width = Annotated[int, Field(ge=1, le=4096)]


class Mlp(Hyperparameters):
    """scikit-learn's MLPClassifier with Adam, for a fixed number of epochs.

    A fixed number, because scikit-learn's early stopping holds out single rows, so that the rows of one song
    would stand on both sides.
    """

    trainer: Literal["mlp"] = Field(default="mlp", description="A small neural network.")
    hidden_layers: tuple[Width, ...] = Field(
        default=(64,),
        min_length=1,
        max_length=8,
        description="Width of each hidden layer.",
    )
    epochs: int = Field(default=20, ge=1, le=10_000, description="Passes over the training songs.")
    batch_size: int = Field(default=200, ge=1, le=1_000_000, description="Examples per gradient step, at most.")
    learning_rate: float = Field(default=3e-3, gt=0, le=1, description="Adam's initial learning rate.")
    l2: float = Field(default=0.6, ge=0, le=1e6, description="Penalty on the squared weights.")

    def fit(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        weights: NDArray[np.float64],
        seed: int,
    ) -> Fitted:
        """Fit for all epochs; the curve is the weighted training loss of each."""
        classifier = MLPClassifier(
            hidden_layer_sizes=self.hidden_layers,
            batch_size=even_batches(len(labels), self.batch_size),
            learning_rate_init=self.learning_rate,
            alpha=self.l2,
            max_iter=self.epochs,
            n_iter_no_change=self.epochs,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(features, labels, sample_weight=weights)
        return Fitted(classifier, tuple(float(loss) for loss in classifier.loss_curve_))


def even_batches(examples: int, most: int) -> int:
    """The size of mini-batches, at most `most` and not much less, of which the last is about as large as the others.

    scikit-learn divides the penalty by the weights of the mini-batch (1.9, _multilayer_perceptron.py, `_backprop`), so
    that a last one of a few examples would get it a hundred times too strong, once an epoch.
    """
    most = min(most, examples)
    largest = math.ceil(examples / math.ceil(examples / most))

    def fullness(size: int) -> float:
        return (examples % size or size) / size

    sizes = range(largest, max(largest // 2, 1) - 1, -1)
    return next((size for size in sizes if fullness(size) >= NEARLY_FULL), max(sizes, key=fullness))
