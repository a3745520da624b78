"""Training: from an examples table to one ONNX model file, the same bytes every time.

`train` reads the examples (one row per song and country, see roadie.data), fits the trainer that the
hyperparameters name, and writes `1/model.onnx`, the layout that KServe's ONNX runtimes serve. The model
takes the raw features by name, float32 [batch, 1] each, and returns `probabilities`, float32
[batch, classes], which add up to 1: scaling, clipping and a share of the class prior are nodes of the
graph, so that nobody has to repeat them when serving.

A trainer is one class in one file of `trainers/`: its fields are its hyperparameters, its `fit` does the
work, and `describe` lists the fields for people. The same table, hyperparameters, seed, libraries and kind of
machine give the same bytes; the file's metadata names them.

A sweep is `score_each` and `choose`. It sees nothing but the training songs.
"""

from roadie.training.describing import Description, describe
from roadie.training.fit import Trained, train
from roadie.training.hyperparameters import Hyperparameters
from roadie.training.sweep import Score, choose, cross_validate, score_each, to_markdown
from roadie.training.trainers import TRAINERS, parse_hyperparameters

__all__ = [
    "TRAINERS",
    "Description",
    "Hyperparameters",
    "Score",
    "Trained",
    "choose",
    "cross_validate",
    "describe",
    "parse_hyperparameters",
    "score_each",
    "to_markdown",
    "train",
]
