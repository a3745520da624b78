"""What Argo CD and KServe say about a version, and whether it serves.

`wait` follows an InferenceService of KServe, the Argo CD Application that deploys it, or both (a `Target`), until they
serve the version that is `Wanted`, and returns a `Verdict`: healthy, degraded, timed-out, blocked, superseded or
skipped. It fails early, with the pod's own message and the end of its log, and tells what a version does itself from
what Argo CD, the cluster or a third party does about it (blocked). `smoke` asks the served model some `Sample`s, of a
file (`read_samples`) or made with the model's file (`make_samples`). `record_event` says something on the
InferenceService, where people look. `PERMISSIONS` is what all this must be allowed, and `rights` asks the
cluster whether it is.

How a wait goes: mirrors.py keeps what the cluster holds up to date by list and watch (mirror.py, cluster.py). Pure
functions judge a snapshot: application.py with sources.py, service.py with predictor.py and pods.py; each gives a Look.
course.py follows the looks over time and comes to the verdict. `Cluster` is an API server, asked for one `Kind` of
object; its credentials are those of KUBECONFIG, or of the pod's service account.
"""

from roadie.rollout.answering import make_samples
from roadie.rollout.cluster import PODS, Cluster, Kind
from roadie.rollout.events import record_event
from roadie.rollout.permissions import PERMISSIONS, Permission
from roadie.rollout.rights import Rights, rights
from roadie.rollout.samples import Sample, read_samples
from roadie.rollout.smoke import Smoke, smoke
from roadie.rollout.target import Target, Verdict, Wanted
from roadie.rollout.waiting import SOAK, wait

__all__ = [
    "PERMISSIONS",
    "PODS",
    "SOAK",
    "Cluster",
    "Kind",
    "Permission",
    "Rights",
    "Sample",
    "Smoke",
    "Target",
    "Verdict",
    "Wanted",
    "make_samples",
    "read_samples",
    "record_event",
    "rights",
    "smoke",
    "wait",
]
