"""Reviews on the three kinds of Git hosts: one request per model and environment, kept up to date, merged as seen."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roadie.errors import GitOpsError, UsageError
from roadie.gitops import Access, Edit, Proposal, bump, follow, read_value
from roadie.gitops.failures import LostRaceError
from roadie.gitops.patience import Clock
from roadie.gitops.repository import Repository
from roadie.gitops.reviews import Host, Review, host_for, merge, open_review, wait
from roadie.gitops.reviews.rest import Rest
from tests.servers import git_hosts
from tests.servers.git_hosts import GitHost, Request
from tests.servers.git_http import PASSWORD, GitServer, git

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlops-gitops"
FILE, KEY = "stage/values.yaml", "applications.jukebox.values.version"
BRANCH = "roadie/stage/applications.jukebox.values"


@pytest.fixture
def repo(git_server: GitServer) -> str:
    (git_server.root / "stars").mkdir()
    return git_server.create("stars/mlops-gitops.git", EXAMPLE, receive_denyNonFastForwards="false")


@pytest.fixture(params=["github", "gitlab", "gitea"])
def host(request: pytest.FixtureRequest, git_server: GitServer, repo: str) -> Iterator[GitHost]:
    with git_hosts.serving(request.param, git_server.root / "stars" / "mlops-gitops.git") as served:
        yield served


# For what is Git's doing and the same wherever the review is.
one_host = pytest.mark.parametrize("host", ["github"], indirect=True)


@pytest.fixture
def proposal(host: GitHost) -> Proposal:
    api = host.url + {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}[host.kind]
    return Proposal(kind=host.kind, api_url=api, notes="| accuracy | 0.31 |")


@pytest.fixture
def client(repo: str, proposal: Proposal) -> Host:
    return host_for(repo, Access.from_environment(), kind=proposal.kind, api_url=proposal.api_url)


def propose(repo: str, proposal: Proposal, version: str, **trailers: str) -> Review:
    done = bump(repo, [Edit(FILE, KEY, version)], proposal=proposal, trailers=trailers)
    assert done.review and done.branch == BRANCH
    return Review(int(done.review.rsplit("/", 1)[1]), done.review, "open", done.commit)


def test_a_review_shows_what_would_be_deployed_and_leaves_the_branch_alone(
    host: GitHost, repo: str, proposal: Proposal
) -> None:
    digest = "sha256:" + "0" * 64
    propose(repo, proposal, "1.2.0", **{"Roadie-Digest": digest, "Roadie-Report": "https://reports.example.com/1"})

    (request,) = host.requests
    assert (request.head, request.base, request.title) == (BRANCH, "main", f"Set {KEY} to 1.2.0 in {FILE}")
    for words in ("`1.2.0`", f"| Digest | `{digest}` |", "| https://reports.example.com/1 |", "| accuracy | 0.31 |"):
        assert words in request.body
    assert read_value(repo, FILE, KEY).value == "latest"
    assert read_value(repo, FILE, KEY, branch=BRANCH).value == "1.2.0"


def test_a_second_run_updates_the_same_request_and_a_newer_version_supersedes_it(
    host: GitHost, repo: str, proposal: Proposal
) -> None:
    first = propose(repo, proposal, "1.2.0")
    again = bump(repo, [Edit(FILE, KEY, "1.2.0")], proposal=proposal)
    assert (again.changed, again.commit, again.review) == (False, first.head, first.url)
    second = propose(repo, proposal, "1.3.0")
    assert (second.number, len(host.requests)) == (first.number, 1)
    assert "1.3.0" in host.requests[0].title
    count = git("-C", str(host.bare), "rev-list", "--count", f"main..{BRANCH}")
    assert count == "1"


@one_host
def test_an_older_run_does_not_supersede_a_newer_one(host: GitHost, repo: str, proposal: Proposal) -> None:
    newer = propose(repo, proposal, "1.3.0", **{"Roadie-Started": "2026-01-02T00:00:00Z"})
    older = bump(
        repo, [Edit(FILE, KEY, "1.2.0")], proposal=proposal, trailers={"Roadie-Started": "2026-01-01T00:00:00Z"}
    )
    assert (older.changed, older.review, host.head(BRANCH)) == (False, newer.url, newer.head)


@one_host
def test_a_branch_that_fell_behind_is_made_anew_on_the_tip(host: GitHost, repo: str, proposal: Proposal) -> None:
    propose(repo, proposal, "1.2.0")
    bump(repo, [Edit("test/values.yaml", KEY, "1.2.0")])
    propose(repo, proposal, "1.2.0")
    assert git("-C", str(host.bare), "rev-parse", f"{BRANCH}^") == host.head("main")


@one_host
def test_an_empty_difference_opens_nothing(host: GitHost, repo: str, proposal: Proposal) -> None:
    bump(repo, [Edit(FILE, KEY, "1.2.0")])
    done = bump(repo, [Edit(FILE, KEY, "1.2.0")], proposal=proposal)
    assert (done.changed, done.review, host.requests, host.head(BRANCH)) == (False, None, [], "")


@one_host
def test_a_server_that_forbids_to_replace_a_branch_is_named(host: GitHost, repo: str, proposal: Proposal) -> None:
    git("-C", str(host.bare), "config", "receive.denyNonFastForwards", "true")
    propose(repo, proposal, "1.2.0")
    with pytest.raises(GitOpsError, match="forbids replacing a branch"):
        propose(repo, proposal, "1.3.0")


def test_requests_of_others_are_passed_over_on_all_pages(host: GitHost, repo: str, proposal: Proposal) -> None:
    first = propose(repo, proposal, "1.2.0")
    for number in range(2, 7):
        host.requests.append(Request(number, f"branch-{number}", "main", "", ""))
    host.requests.append(Request(7, BRANCH, "main", "of a fork", "", fork=True))
    assert propose(repo, proposal, "1.3.0").number == first.number


def test_a_lost_answer_does_not_open_a_second_request(host: GitHost, repo: str, proposal: Proposal) -> None:
    host.lose_answers = True
    propose(repo, proposal, "1.2.0")
    assert len(host.requests) == 1


def test_a_proposal_that_waits_says_whether_it_was_merged(host: GitHost, repo: str, proposal: Proposal) -> None:
    first = bump(repo, [Edit(FILE, KEY, "1.2.0")], proposal=replace(proposal, wait=0.01))
    assert (first.changed, first.in_place) == (True, False)
    host.requests[0].state, host.merges_at_once = "closed", True
    assert bump(repo, [Edit(FILE, KEY, "1.3.0")], proposal=replace(proposal, wait=5)).in_place
    assert read_value(repo, FILE, KEY).value == "1.3.0"


def test_waiting_ends_with_the_merge_with_the_time_or_with_a_failure(
    host: GitHost, repo: str, proposal: Proposal, client: Host
) -> None:
    review = propose(repo, proposal, "1.2.0")
    assert wait(client, review.number, timeout=0).state == "open"
    merged = merge(client, client.get(review.number))
    assert (merged.state, merged.commit) == ("merged", review.head)
    assert wait(client, review.number, timeout=0) == merged
    assert read_value(repo, FILE, KEY).value == "1.2.0"

    closed = propose(repo, proposal, "1.3.0")
    host.requests[-1].state = "closed"
    with pytest.raises(GitOpsError, match="was closed without being merged"):
        wait(client, closed.number, timeout=10)


def test_a_merge_is_pinned_to_the_commit_that_was_looked_at(
    host: GitHost, repo: str, proposal: Proposal, client: Host
) -> None:
    seen = propose(repo, proposal, "1.2.0")
    propose(repo, proposal, "1.3.0")
    with pytest.raises(GitOpsError, match=f"cannot be merged at {seen.head[:10]}"):
        merge(client, seen)
    assert host.requests[0].state == "open"


def test_a_host_that_is_still_checking_is_asked_again(
    host: GitHost, repo: str, proposal: Proposal, client: Host
) -> None:
    review = propose(repo, proposal, "1.2.0")
    host.checking = 2
    assert merge(client, review, interval=0.01).state == "merged"

    other = propose(repo, proposal, "1.3.0")
    host.checking = 1000
    with pytest.raises(GitOpsError, match="Please try again later"):
        merge(client, other, patience=0.05, interval=0.01)


def test_a_review_is_followed_by_its_address(host: GitHost, repo: str, proposal: Proposal) -> None:
    first = propose(repo, proposal, "1.2.0")
    second = propose(repo, proposal, "1.3.0")
    with pytest.raises(GitOpsError, match="a newer version took over"):
        follow(repo, first.url, first.head, proposal=proposal)
    assert follow(repo, second.url, second.head, proposal=proposal).state == "open"
    assert follow(repo, second.url, second.head, proposal=proposal, merge=True).state == "merged"
    assert follow(repo, second.url, second.head, proposal=proposal, merge=True).state == "merged"


FAULTS = {
    "a server in trouble": [(503, {}, {"message": "later"})],
    "a gateway in trouble": [(502, {}, "<html>")],
    "a spent rate limit": [(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, {"message": "rate limit"})],
    "a secondary rate limit": [(403, {"Retry-After": "0"}, {"message": "secondary rate limit"})],
    "too many requests": [(429, {"Retry-After": "0"}, {"message": "Too Many Requests"})],
}


def test_what_passes_is_tried_again(host: GitHost, client: Host) -> None:
    commit = git("-C", str(host.bare), "commit-tree", "main^{tree}", "-p", "main", "-m", "to be reviewed")
    git("-C", str(host.bare), "update-ref", f"refs/heads/{BRANCH}", commit)
    for fault, answers in FAULTS.items():
        host.faults = [*answers]
        assert open_review(client, BRANCH, "main", "title", "body").number == 1, fault
        assert host.faults == [], fault


def test_a_host_away_for_five_minutes_costs_waiting(host: GitHost, client: Host, repo: str) -> None:
    seconds = [0.0]
    clock = Clock(lambda: seconds[0], lambda wait: seconds.append(seconds.pop() + wait))
    host.trouble = lambda: seconds[0] < 300
    with pytest.raises(GitOpsError, match="does not accept the token"):
        Rest(host.url, {}, clock=clock).call("GET", "")
    assert 300 <= seconds[0] < 340
    host.trouble = lambda: True
    with pytest.raises(GitOpsError, match="answers with status 503; try again later"):
        Rest(host.url, {}, clock=clock).call("GET", "")


def test_who_lost_the_lease_of_a_reviews_branch_throws_nothing_away(
    host: GitHost, git_server: GitServer, repo: str, proposal: Proposal
) -> None:
    first = propose(repo, proposal, "1.2.0")
    bare = str(host.bare)
    others = git("-C", bare, "commit-tree", "main^{tree}", "-p", first.head, "-m", "a reviewer's own commit")
    pushes: list[str] = []

    def a_reviewer_is_faster(method: str, path: str) -> int:
        if method == "POST" and "git-receive-pack" in path:
            pushes.append(path)
        if "git-receive-pack" in path and not pushes:
            # Our look at the branch is over, and its push has not begun.
            git("-C", bare, "update-ref", f"refs/heads/{BRANCH}", others)
        return 0

    git_server.trouble = a_reviewer_is_faster
    with Repository(repo, "main") as repository:
        tip = repository.fetch()
        with pytest.raises(LostRaceError):
            repository.push(tip, BRANCH, replacing=first.head)
    assert host.head(BRANCH) == others


REFUSALS = {
    "does not accept the token": [(401, {}, {"message": "Bad credentials"})],
    "give it the right to open reviews": [(403, {}, {"message": "Resource not accessible"})],
    "limits the rate of requests; try again later": [(429, {"Retry-After": "3600"}, {"message": "slow down"})],
    "knows no such repository": [(404, {}, {"message": "Not Found"})],
    "something else than JSON": [(200, {}, "<html>Welcome</html>")],
    "something else than a list": [(200, {}, {"message": "hello"})],
    "has no field": [(200, {}, [{"source_project_id": 1, "target_project_id": 1}])],
    "answers with status 418": [(418, {}, {})],
    "on another server": [(200, {"Link": '<http://127.0.0.2:9/x>; rel="next"'}, [])],
    "redirects to another server": [(302, {"Location": "http://127.0.0.2:9/x"}, {})],
}


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea"])
def test_a_refusal_is_one_sentence_without_the_token(kind: str, tmp_path: Path) -> None:
    with git_hosts.serving(kind, tmp_path) as host:
        repo, access = "https://git.example.com/stars/mlops-gitops.git", Access(password=PASSWORD)
        client = host_for(repo, access, kind=kind, api_url=host.url)
        for sentence, faults in REFUSALS.items():
            host.faults = [*faults]
            with pytest.raises(GitOpsError, match=sentence) as refused:
                open_review(client, BRANCH, "main", "title", "body")
            assert PASSWORD not in str(refused.value)


def test_nothing_to_review_is_said_as_such(host: GitHost, client: Host) -> None:
    with pytest.raises(GitOpsError, match=r"no review can be opened for nowhere.*Validation Failed"):
        open_review(client, "nowhere", "main", "title", "body")


def test_an_api_that_is_away_is_named() -> None:
    with pytest.raises(GitOpsError, match=r"http://127.0.0.1:9 cannot be reached"):
        Rest("http://127.0.0.1:9", {}, budget=0).call("GET", "1")


@pytest.mark.parametrize(
    ("repo", "api"),
    [
        ("https://github.com/stars/x.git", "https://api.github.com"),
        ("git@github.com:stars/x.git", "https://api.github.com"),
        ("https://github.example.com/stars/x", "https://github.example.com/api/v3"),
        ("ssh://git@gitlab.example.com:2222/a/b/c.git", "https://gitlab.example.com/api/v4"),
        ("https://gitea.example.com:3000/stars/x.git", "https://gitea.example.com:3000/api/v1"),
        ("https://codeberg.org/stars/x.git", "https://codeberg.org/api/v1"),
    ],
)
def test_the_host_is_told_from_the_url(repo: str, api: str) -> None:
    assert host_for(repo, Access())._rest.base == api  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "repo", ["https://git.example.com/a/b.git", "/srv/a.git", "https://github.com/a", "file:///a/b"]
)
def test_a_host_that_cannot_be_told_is_asked_for(repo: str) -> None:
    with pytest.raises(UsageError, match="--host|not on a Git host"):
        host_for(repo, Access())
