"""How the steps are wired: one file a pipeline, each compiled to ``compiled/pipelines/``."""
