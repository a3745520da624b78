"""What is waited for, where, and what came of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Where a version is to serve: an InferenceService, the Argo CD Application that deploys it, or both.

    An empty `namespace` is the pod's own. OpenShift GitOps keeps its Applications in ``openshift-gitops``.
    `gitops_repo` tells which of an Application's sources the commit is in; without it, the Application itself tells
    (see roadie.rollout.application). `canary` names the InferenceService's canary that is to serve the version; empty
    for the stable predictor, beside which a canary is nothing.
    """

    inference_service: str = ""
    namespace: str = ""
    application: str = ""
    application_namespace: str = "argocd"
    gitops_repo: str = ""
    canary: str = ""


@dataclass(frozen=True)
class Wanted:
    """The version that is to serve: the image's tag, its digest (``sha256:...``), and the commit that asked for it.

    `image` is the repository without a tag. `digests` are further names of the same image: a runtime may report the
    manifest of its platform where `digest` is that of the index. Without a `digest`, what pods run is not compared.
    """

    version: str
    digest: str
    image: str = ""
    commit: str = ""
    digests: tuple[str, ...] = ()

    def named_by(self, reference: str) -> bool:
        """Whether an image or a storageUri is this version: by one of its digests, else by its tag.

        The repository is not compared, since nodes may pull from a mirror by another name; the digest of what the
        pods run is.
        """
        _, at, digest = reference.rpartition("@")
        return digest in self.all_digests if at else bool(self.version) and reference.endswith(f":{self.version}")

    @property
    def all_digests(self) -> tuple[str, ...]:
        """Every digest that names the image."""
        return tuple(digest for digest in (self.digest, *self.digests) if digest)


@dataclass(frozen=True)
class Verdict:
    """How a rollout ended.

    `outcome` is healthy, degraded (it fails by itself), timed-out (it came up and never got ready), blocked (it was not
    tried, for something else that Argo CD, the cluster or a third party did or did not do), superseded (another version
    took the place of ours: nobody's success, and nothing to roll back) or skipped (nothing was named). Only a degraded
    or a timed-out version is one to take back. `reason` is a sentence, `seconds` the wait, `revision` what the
    Application had synced last, `logs` the last lines of the container that fails, and `address` where KServe says that
    the version answers inside of the cluster.
    """

    outcome: str
    reason: str
    seconds: float = 0.0
    revision: str = ""
    logs: str = ""
    address: str = ""
