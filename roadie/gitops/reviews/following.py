"""Open a review, or update the one there is; follow it to its end."""

import time
from http import HTTPStatus

from roadie.errors import GitOpsError
from roadie.gitops.reviews.rest import ConflictError
from roadie.gitops.reviews.review import Host, Review


def open_review(host: Host, branch: str, base: str, title: str, body: str) -> Review:
    """The one open request from `branch` to `base`, with these words: updated when it is there, else opened."""
    found = host.find(branch, base)
    if not found:
        try:
            return host.create(branch, base, title, body)
        except ConflictError as refused:
            # Someone else, or our own request whose answer was lost, may have opened it meanwhile.
            found = host.find(branch, base)
            if not found:
                raise GitOpsError(f"no review can be opened for {branch}: {refused}") from None
    return host.update(found.number, title, body)


def wait(host: Host, number: int, *, timeout: float, interval: float = 15.0) -> Review:
    """Follow a request until it is merged, or for `timeout` seconds: it is still open then.

    Raises:
        GitOpsError: it was closed without being merged.
    """
    deadline = time.monotonic() + timeout
    while True:
        review = host.get(number)
        if review.state == "closed":
            raise GitOpsError(f"{review.url} was closed without being merged; ask its reviewers why")
        left = deadline - time.monotonic()
        if review.state == "merged" or left <= 0:
            return review
        time.sleep(min(interval, left))


def merge(host: Host, review: Review, *, patience: float = 30.0, interval: float = 2.0) -> Review:
    """Merge the request if its head is still the commit that `review` names, and return it as it is then.

    A host that is still checking whether it can be merged is asked again for `patience` seconds.

    Raises:
        GitOpsError: someone pushed to its branch since, or the host does not allow to merge it now.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            host.merge(review.number, review.head)
        except ConflictError as refused:
            now = host.get(review.number)
            if now.state == "merged":
                return now
            moved = now.head != review.head or refused.status == HTTPStatus.CONFLICT
            if moved or now.state == "closed" or time.monotonic() >= deadline:
                raise GitOpsError(f"{review.url} cannot be merged at {review.head[:10]}: {refused}") from None
            time.sleep(interval)
        else:
            return host.get(review.number)
