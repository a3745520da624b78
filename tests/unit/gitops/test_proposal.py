"""A review's branch is the same for every version, and its words cannot break out of their table."""

import pytest

from roadie.gitops import Edit
from roadie.gitops.checks import check_branch
from roadie.gitops.proposal import body, branch_name


@pytest.mark.parametrize(
    ("file", "key", "branch"),
    [
        ("stage/values.yaml", "applications.jukebox.values.version", "roadie/stage/applications.jukebox.values"),
        ("model-deployments/test/jukebox/config.yaml", "version", "roadie/model-deployments/test/jukebox/version"),
        ("values.yaml", "apps[name=juke box].version", "roadie/values.yaml/apps-name-juke-box"),
        ("a.lock/x.yaml", '"..".version', "roadie/a-lock/x"),
        (".ci/größe.yaml", "a.b", "roadie/ci/a"),
    ],
)
def test_the_branch_depends_on_the_place_alone(file: str, key: str, branch: str) -> None:
    names = {branch_name([Edit(file, key, value)]) for value in ("1.0", "2.0")}
    assert len(names) == 1
    assert check_branch(names.pop()) == branch


def test_values_cannot_break_out_of_their_table() -> None:
    edit = Edit("a.yaml", "x|y.name", "evil | `code` <img>")
    trailers = (
        "Roadie-Run: [click](https://evil.example.com)\nRoadie-Report: https://a.example.com/1\nRoadie-Set: a:b=c"
    )
    rows = body([edit], trailers, "| accuracy | 0.3 |").splitlines()
    assert rows[2] == "| a.yaml: x\\|y.name | `evil \\| 'code' <img>` |"
    assert rows[3:5] == ["| Run | `[click](https://evil.example.com)` |", "| Report | https://a.example.com/1 |"]
    assert rows[5:] == ["", "| accuracy | 0.3 |"]
