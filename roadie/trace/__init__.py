"""From a version in a values file to what stands behind it.

- :func:`find_champion` reads which version an environment deploys and fetches that version's model;
- :func:`end_of_run` says in one line how a run ended.

This room reads what ``gitops`` and ``modelcar`` offer and changes nothing anywhere.
"""

from roadie.trace.champion import Champion, find_champion
from roadie.trace.ending import end_of_run

__all__ = ["Champion", "end_of_run", "find_champion"]
