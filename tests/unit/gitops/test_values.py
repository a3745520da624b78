"""One scalar changes, every other byte stays, and what cannot be proved is refused with a reason."""

import pytest

from roadie.errors import GitOpsError, UsageError
from roadie.gitops.events import MAX_BYTES
from roadie.gitops.values import get_scalar, set_scalar

JUKEBOX = b"""\
applications:
  # Jukebox
  jukebox:
    name: jukebox
    enabled: true
    source: https://<GIT_SERVER>/<TEAM_NAME>/mlops-helmcharts.git
    source_ref: main
    source_path: charts/model-deployment/simple
    values:
        name: jukebox
        version: latest
"""
VERSION = "applications.jukebox.values.version"


def test_the_jukebox_values_change_in_their_version_only() -> None:
    assert set_scalar(JUKEBOX, VERSION, "4562a17c17") == JUKEBOX.replace(b"latest", b'"4562a17c17"')


def test_every_byte_around_the_value_stays() -> None:
    before = "\ufeff# é\r\n---\r\nversion:   4562a17c17   # deployed 🎉\r\nflow: {a: ~,b:  2}\r\nend: 'x'".encode()
    after = set_scalar(before, "version", "1e10")
    assert after == before.replace(b"4562a17c17", b'"1e10"')
    assert set_scalar(after, "flow.b", "3") == after.replace(b"b:  2", b'b:  "3"')
    assert set_scalar(after, "flow.a", "3") == after.replace(b"~", b'"3"')


@pytest.mark.parametrize("value", ["1e10", "1.10", "0755", "yes", "on", "1:30", "6063e25", "4562117117", "~", "null"])
def test_a_value_that_yaml_would_resolve_is_read_back_as_the_same_string(value: str) -> None:
    after = set_scalar(JUKEBOX, VERSION, value)
    assert get_scalar(after, VERSION) == value
    assert b'version: "' + value.encode() + b'"\n' in after


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("version:\n", "version", 'version: "x"\n'),
        ("version: # none yet\nb: 1\n", "version", 'version: "x" # none yet\nb: 1\n'),
        ("version: null\n", "version", 'version: "x"\n'),
        ("a: 'it''s'\n", "a", 'a: "x"\n'),
        ("- name: a\n  tag: 1\n- name: b\n  tag: 2\n", "[name=b].tag", '- name: a\n  tag: 1\n- name: b\n  tag: "x"\n'),
        ("a: [1, [2, 3]]\n", "a[1][0]", 'a: [1, ["x", 3]]\n'),
        ("m:\n  a.b/c: 1\n", 'm."a.b/c"', 'm:\n  a.b/c: "x"\n'),
        ("a: 1\n---\na: 2\n", "#1.a", 'a: 1\n---\na: "x"\n'),
        ("base: &b {v: 1}\nother: *b\nv: 2\n", "v", 'base: &b {v: 1}\nother: *b\nv: "x"\n'),
        ("apps:\n- name: x\n  values: {version: 1}", "apps[name=x].values.version",
         'apps:\n- name: x\n  values: {version: "x"}'),
    ],
)  # fmt: skip
def test_paths_lead_through_maps_lists_and_documents(text: str, path: str, expected: str) -> None:
    assert set_scalar(text.encode(), path, "x").decode() == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (
            "v:\n  version: a # c\n  more: |\n    b\n",
            "v.digest",
            'v:\n  version: a # c\n  digest: "x"\n  more: |\n    b\n',
        ),
        ("- name: a\n", "[0].tag", '- name: a\n  tag: "x"\n'),
        ("version: a", "digest", 'digest: "x"\nversion: a'),
        ("a:\r\n  b: 1\r\nc: 2\r\n", "a.d", 'a:\r\n  b: 1\r\n  d: "x"\r\nc: 2\r\n'),
        ("---\n", "version", '---\nversion: "x"\n'),
        ("---", "version", '---\nversion: "x"\n'),
        ("# head\r\n---  # start\r\n", "version", '# head\r\n---  # start\r\nversion: "x"\r\n'),
        ("a:\n  values:  # none\n  b: 1\n", "a.values.version", 'a:\n  values:  # none\n    version: "x"\n  b: 1\n'),
        ("a:\n  l: [1]\n", 'a."k.l"', 'a:\n  "k.l": "x"\n  l: [1]\n'),
    ],
)
def test_a_missing_key_is_added_beside_its_siblings_when_asked(text: str, path: str, expected: str) -> None:
    assert set_scalar(text.encode(), path, "x", create_missing=True).decode() == expected
    with pytest.raises(GitOpsError, match="no such key"):
        set_scalar(text.encode(), path, "x")


REFUSED = {
    "a duplicate key": ("version: 1\nversion: 2\n", "version", "more than once"),
    "a duplicate key on the way": ("a: {v: 1}\na: {v: 2}\n", "a.v", "more than once"),
    "several documents": ("version: 1\n---\nversion: 2\n", "version", "2 documents"),
    "an alias as the value": ("a: &x 1\nversion: *x\n", "version", "alias"),
    "an alias on the way": ("a: &x {v: 1}\nb: *x\n", "b.v", "alias"),
    "an anchor that others use": ("a: &x {v: 1}\nb: *x\n", "a.v", "anchor &x"),
    "an anchor at the value": ("version: &x 1\n", "version", "anchor"),
    "a tag at the value": ("version: !!str 1\n", "version", "tag"),
    "a block scalar": ("version: |\n  1\n", "version", "block"),
    "a plain scalar of two lines": ("version: a\n  b\n", "version", "several lines"),
    "a quoted scalar of two lines": ('version: "a\n  b"\n', "version", "several lines"),
    "not UTF-8": ("version: é\n".encode("latin-1"), "version", "UTF-8"),
    "UTF-16": ("version: 1\n".encode("utf-16"), "version", "UTF-8"),
    "a NUL": ("version: 1\n# \0\n", "version", "not plain YAML"),
    "too deep": ("[" * 200 + "]" * 200, "[0]", "deeper"),
    "far too deep": ("[" * 100_000, "[0]", "deeper"),
    "too large": (b"# " + b"x" * MAX_BYTES, "version", "limit"),
    "an unquoted template": ("version: {{ .Values.v }}\n", "version", "YAML|template"),
    "a quoted template": ('version: "{{ .Values.v }}"\n', "version", "template"),
    "a template around": ("{{- if .x }}\nversion: 1\n{{- end }}\n", "version", "not plain YAML"),
    "a merged key": ("a: &x {v: 1}\nb:\n  <<: *x\n", "b.v", "merge"),
    "a map": ("version: {a: 1}\n", "version", "map"),
    "a scalar on the way": ("a: 1\n", "a.version", "expects a map"),
    "a list on the way": ("a: [1]\n", "a.version", "expects a map"),
    "no list": ("a: {b: 1}\n", "a[0]", "expects a list"),
    "two that match": ("- {n: a, v: 1}\n- {n: a, v: 2}\n", "[n=a].v", "several elements"),
    "no such key": ("a: 1\n", "version", "no such key"),
    "no such way": ("a: 1\n", "b.version", "no such key"),
    "an empty file": ("", "version", "0 documents"),
    "just a document marker": ("---\n", "version", "no such key"),
    "a set": ("? version\n", "version", "touch|certain"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason(case: str) -> None:
    text, path, reason = REFUSED[case]
    with pytest.raises(GitOpsError, match=reason):
        set_scalar(text if isinstance(text, bytes) else text.encode(), path, "x")


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a\u2028b", "a\x1bb"])
def test_a_value_with_control_characters_is_refused(value: str) -> None:
    with pytest.raises(GitOpsError, match="control characters"):
        set_scalar(JUKEBOX, VERSION, value)


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "a]b", 'a"b', "a[0]b", '"a"b', "#1"]
)
def test_a_malformed_path_is_refused_as_bad_usage(path: str) -> None:
    with pytest.raises(UsageError, match="not a path"):
        get_scalar(JUKEBOX, path if path != "#1" else "#1.")


def test_reading_gives_the_text_as_written_and_none_for_null_or_missing() -> None:
    text = b"a: 1.10\nb: ~\nc: '0755'\nd: &x y\ne:\n"
    assert [get_scalar(text, key) for key in "abcdef"] == ["1.10", None, "0755", "y", None, None]
    assert get_scalar(text, "f.g[0].h") is None


def test_a_key_is_not_added_to_a_map_that_is_not_there() -> None:
    with pytest.raises(GitOpsError, match="the map that should hold this key is not there"):
        set_scalar(b"a: 1\n", "b.c", "x", create_missing=True)
