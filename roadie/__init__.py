"""Roadie: the road from training to the values file.

The rooms, in the order a model passes them: ``data`` reads and checks tables, ``training`` fits and exports,
``evaluation`` decides, ``modelcar`` builds and pushes the image, ``gitops`` commits the version, ``rollout`` watches it
come up; ``runs`` runs the compiled pipeline, ``trace`` walks back from a version, and ``cli`` is what people type.
"""

__version__ = "0.1.0"
