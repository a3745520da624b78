"""The KFP faces of Roadie: one file a step, each a typed signature, a docstring and one call into a room of ``roadie``.

Import a step from its file (``from components.train import train``) and call it inside a ``@dsl.pipeline`` function,
or load its compiled form from ``compiled/components/`` with ``kfp.components.load_component_from_file``.
"""
