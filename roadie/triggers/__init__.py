"""Triggers: alerts and pushes start runs, each exactly once.

A message passes through these files, in this order:

- ``server`` and ``connections`` take it in, ``app`` and ``hooks`` see to it that its sender is who he says (``auth``)
  and understand it (``alertmanager``, ``pushes``): it becomes events (``events``);
- ``recorder`` stores them with what is decided about them (``deciding``) in the ``journal``; then comes the answer;
- ``worker`` starts a run for each intent in the journal, follows it to its end, and tells people;
- ``page_routes`` and ``page`` show it all.

:func:`load` reads triggers.yaml (``config``), :func:`describe` says what it means, and :func:`listen` puts everything
together (``receiver``).
"""

from roadie.triggers.config import Config
from roadie.triggers.describing import describe
from roadie.triggers.loading import load
from roadie.triggers.receiver import listen

__all__ = ["Config", "describe", "listen", "load"]
