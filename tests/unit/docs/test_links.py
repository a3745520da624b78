"""Every link inside the documentation leads somewhere, and every page can be found from the index."""

import re
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT, pages

_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and GitLab give to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[str, str]]:
    """The page's relative links as (path, anchor)."""
    found = _LINK.finditer(_FENCED.sub("", page.read_text(encoding="utf-8")))
    return [(link["path"], link["anchor"] or "") for link in found if "://" not in link["path"]]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}" if anchor else path)
    assert not broken


def targets(page: Path) -> set[Path]:
    return {(page.parent / path).resolve() for path, _ in links(page)}


def test_every_decision_is_in_their_index() -> None:
    folder = ROOT / "docs" / "decisions"
    assert {note for note in folder.glob("*.md") if note.name != "README.md"} <= targets(folder / "README.md")


def test_every_other_page_is_in_the_index() -> None:
    folder = ROOT / "docs"
    others = {page for page in folder.rglob("*.md") if page.parent.name != "decisions" and page.name != "index.md"}
    assert others <= targets(folder / "index.md")
