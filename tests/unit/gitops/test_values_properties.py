"""Over generated ugly YAML: what is set reads back, and no byte outside the scalar's own changes."""

from collections.abc import Callable

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from roadie.errors import GitOpsError
from roadie.gitops.values import get_scalar, set_scalar

VERSIONS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
NAMES = st.sampled_from(["name", "source_ref", "on", "1", "a-b", "größe", "k8s"])
PLAIN = st.sampled_from(
    [
        "latest",
        "4562a17c17",
        "1.10",
        "1e10",
        "0755",
        "~",
        "",
        "null",
        "yes",
        "'it''s'",
        '"q \\" 🎉"',
        "http://a/b#c",
        "a b",
    ]
)
COMMENTS = st.sampled_from(["", " # é 🎉 version: no", "   #", "\t# tab"])
NEWLINES = st.sampled_from(["\n", "\r\n"])
NOISE = st.sampled_from(
    [
        "",
        "# version: 0",
        "other: {version: 1, b: [ 2,3 ]}",
        "block: |+\n  version: 0\n\n",
        "folded: >-\n  a\n  b",
        "anchored: &anchor {version: x}",
        "tagged: !!str 12",
        "list:\n- version: 1\n-   version: 2",
        "? complex\n: value",
    ]
)


@st.composite
def ugly_files(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, str]:
    """A file in three pieces, of which the middle one is a scalar's bytes, and the path that leads to it."""
    pad = " " * draw(st.integers(1, 4))
    keys = draw(st.lists(NAMES, min_size=0, max_size=4))
    before = draw(st.sampled_from(["", "\ufeff", "---\n", "%YAML 1.1\n---\n", "# head\n---  # start\n"]))
    for noise in draw(st.lists(NOISE, max_size=2, unique=True)):
        before += noise + "\n"
    indent = ""
    for key in keys:
        before += f"{indent}{key}:{draw(COMMENTS)}\n"
        indent += pad
        before += f"{indent}sibling:   'x'  # kept\n" if draw(st.booleans()) else ""
    scalar = draw(PLAIN)
    before += f"{indent}version:" + (draw(st.sampled_from([" ", "   "])) if scalar else "")
    after = draw(COMMENTS) + draw(
        st.sampled_from(["", "\n", f"\n{indent}last: 1\n", "\n\n# tail", "\nend: [1,\n  2]\n"])
    )
    ending = draw(NEWLINES)
    pieces = [piece.replace("\n", ending).encode() for piece in (before, scalar, after)]
    return pieces[0], pieces[1], pieces[2], ".".join([*keys, "version"])


@settings(max_examples=400, deadline=None)
@given(ugly_files(), VERSIONS)
def test_no_byte_outside_the_scalar_changes(file: tuple[bytes, bytes, bytes, str], version: str) -> None:
    before, scalar, after, path = file
    result = set_scalar(before + scalar + after, path, version)
    gap = b"" if scalar else b" "
    assert result == before + gap + b'"' + version.encode() + b'"' + after
    assert get_scalar(result, path) == version


def _edited(edit: Callable[[], bytes]) -> bytes | None:
    try:
        return edit()
    except GitOpsError:
        return None


@settings(max_examples=400, deadline=None)
@given(st.text("ab:-[]{}&*!|>'\"#%,? \n\t\r~<é🎉0", max_size=60), VERSIONS)
def test_whatever_the_text_the_edit_is_right_or_refused(text: str, version: str) -> None:
    data = text.encode()
    for path in ("a", "a.b", "[0]", "a[0].b"):
        result = _edited(lambda path=path: set_scalar(data, path, version))  # type: ignore[misc]
        if result is not None:
            _assert_one_change(data, result, version)
        added = _edited(lambda path=path: set_scalar(data, path, version, create_missing=True))  # type: ignore[misc]
        if added is not None:
            assert get_scalar(added, path) == version


def _assert_one_change(before: bytes, after: bytes, version: str) -> None:
    """Removing the new value and the old one from their places leaves the same bytes."""
    place = after.find(b'"' + version.encode() + b'"')
    quoted = len(version) + 2
    starts = [i for i in range(len(after)) if after[i : i + quoted] == after[place : place + quoted]]
    tails = [after[start + quoted :] for start in starts]
    assert any(
        before.startswith(after[:s].rstrip(b" ")) and before.endswith(t) for s, t in zip(starts, tails, strict=True)
    )
    assert [type(e) for e in yaml.parse(before)] == [type(e) for e in yaml.parse(after)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_our_own_error(data: bytes) -> None:
    for path in ("a", "[0]", "a.b"):
        _edited(lambda path=path: set_scalar(data, path, "1"))  # type: ignore[misc]


@given(VERSIONS)
def test_the_pure_python_parser_and_the_fast_one_agree(version: str) -> None:
    result = set_scalar(b"a:\n  version: x # y\n", "a.version", version)
    assert yaml.load(result, yaml.SafeLoader) == yaml.load(result, yaml.CSafeLoader) == {"a": {"version": version}}
