"""The models and the holdout of the room's own tests; what stands here scores models, each in a process of its own."""

from tests.unit.evaluation.conftest import blind, blunt, folder, holdout, sharp

__all__ = ["blind", "blunt", "folder", "holdout", "sharp"]
