"""From a version in a values file to what stands behind it, and to what serves it.

- :func:`find_champion` reads which version an environment deploys and fetches that version's model;
- :func:`see_through` waits until the cluster serves a version that was committed, and rolls it back where it does not;
- :func:`report_end` says in one line how a run ended (:class:`Ending`), where people look; :func:`post` tells them, in
  text that :func:`plain` and :func:`link` made harmless.

- :class:`GitOpsSettings` and :class:`RolloutSettings` are a pipeline's structures `gitops` and `rollout`.

This room joins what ``gitops``, ``modelcar`` and ``rollout`` offer.
"""

from roadie.trace.champion import Champion, find_champion
from roadie.trace.delivery import Place, Trial, see_through
from roadie.trace.ending import Ending, report_end
from roadie.trace.news import link, plain, post
from roadie.trace.settings import GitOpsSettings, RolloutSettings

__all__ = [
    "Champion",
    "Ending",
    "GitOpsSettings",
    "Place",
    "RolloutSettings",
    "Trial",
    "find_champion",
    "link",
    "plain",
    "post",
    "report_end",
    "see_through",
]
