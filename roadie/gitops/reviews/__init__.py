"""Reviews: pull requests and merge requests, on GitHub, GitLab, Gitea and Forgejo.

`host_for` picks the adapter for a repository; `open_review` opens a request or updates the one that is open for the
same branch; `wait` follows it until it is merged, closed or time is up; `merge` merges exactly the commit that was
looked at.
"""

from roadie.gitops.reviews.following import merge, open_review, wait
from roadie.gitops.reviews.hosts import host_for
from roadie.gitops.reviews.review import Host, Review

__all__ = ["Host", "Review", "host_for", "merge", "open_review", "wait"]
