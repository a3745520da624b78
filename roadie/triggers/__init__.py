"""Triggers: alerts and pushes start runs, each exactly once.

A message passes through these folders, in this order:

- ``web`` takes it in and sees to it that its sender is who he says; ``senders`` make events of it (``events``);
- ``rules`` say what follows, and ``journal`` stores both in one synced transaction; then comes the answer;
- ``work`` starts a run for each intent in the journal, follows it to its end, and tells people;
- ``page`` shows it all.

:func:`load` reads triggers.yaml (``config``), :func:`describe` says what it means, and :func:`listen` puts everything
together (``receiver``).
"""

from roadie.triggers.config import Config
from roadie.triggers.describing import describe
from roadie.triggers.loading import load
from roadie.triggers.receiver import listen

__all__ = ["Config", "describe", "listen", "load"]
