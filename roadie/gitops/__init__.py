"""GitOps: write a model's version into the values files that Argo CD deploys from, and read it back.

`bump` sets one or several values (`Edit`) in one commit on a repository that it never checks out: it fetches the tip
without its blobs, replaces the bytes of just those scalars, commits and pushes, and does it anew when someone else was
faster. `bump_version` is the bump that the pipeline makes; `read_value` reads one value. `get_scalar` and `set_scalar`
do the same for a file's bytes; they refuse, with a reason, what they cannot prove to touch one value only. Credentials
(`Access`) come from the environment and reach git through the environment: no token is in a URL, an argument, a file,
a log or an error. Each commit says in its trailers what was set and by which run. What is deployed is what the tip's
file says, and what was taken back what the file walked back from, whatever messages say. `status` tells each model's
version in each environment, `promote` carries one on to the next, `rollback` takes one back. A server that is away is
waited for by minutes. `init_repositories` lays out the two repositories for a team, `create_bare` makes one to try
things on.
"""

from roadie.gitops.access import Access
from roadie.gitops.bump import Bumped, bump
from roadie.gitops.deploy import bump_version
from roadie.gitops.edits import Edit
from roadie.gitops.environments import Deployment, Layout, deployed, status
from roadie.gitops.failures import UnreachableError
from roadie.gitops.layout import create_bare, examples, init_repositories
from roadie.gitops.promotion import promote, rollback
from roadie.gitops.proposal import Proposal, follow
from roadie.gitops.reading import Deployed, File, Revision, look_at, read_file, read_value
from roadie.gitops.values import get_scalar, set_scalar

__all__ = [
    "Access",
    "Bumped",
    "Deployed",
    "Deployment",
    "Edit",
    "File",
    "Layout",
    "Proposal",
    "Revision",
    "UnreachableError",
    "bump",
    "bump_version",
    "create_bare",
    "deployed",
    "examples",
    "follow",
    "get_scalar",
    "init_repositories",
    "look_at",
    "promote",
    "read_file",
    "read_value",
    "rollback",
    "set_scalar",
    "status",
]
