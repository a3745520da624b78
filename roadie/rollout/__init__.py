"""What the cluster says about a version.

- :func:`wait` waits until an InferenceService of KServe is ready with the version, and fails with the reason it gives;
- :func:`judge` is the verdict on one look at it: ready, or not yet and why.

The credentials are those of the pod's service account, or of the kubeconfig where there is none.
"""

from roadie.rollout.waiting import Look, judge, wait

__all__ = ["Look", "judge", "wait"]
