"""The documentation as data: its pages, their fenced blocks, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = ("roadie", "kfp", "make")

_FENCE = re.compile(r"^ *```(?P<language>\w*)$")
_INLINE = re.compile(r"`([^`\n]+)`")
_STARTS_WITH_PROGRAM = re.compile(rf"^\s*({'|'.join(PROGRAMS)})\s+\S", re.MULTILINE)
_SHELL_WORDS = {"do", "then", "else", "export", "exec"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its fence, its language and its text without indentation."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every Markdown page of the repository."""
    folders = [ROOT / "docs", ROOT / "examples", ROOT / "deploy"]
    return sorted([*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))])


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all pages, of the given languages only where any are given."""
    found = [block for page in pages() for block in _blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def _blocks_of(page: Path) -> Iterator[Block]:
    inside: list[str] = []
    language, start = None, 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and language is None:
            language, start, inside = fence["language"], number, []
        elif fence and language is not None:
            yield Block(page, start, language, dedent("\n".join(inside)) + "\n")
            language = None
        else:
            inside.append(line)
    assert language is None, f"{page}:{start}: the block is not closed"


def inline_code(page: Path) -> list[str]:
    """The `code` in a page's prose."""
    text = page.read_text(encoding="utf-8")
    return _INLINE.findall(re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL))


def commands(shell: str) -> Iterator[list[str]]:
    """The calls of PROGRAMS in a piece of shell, each as its list of words."""
    lexer = shlex.shlex(shell.replace("\\\n", " ").replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("();<>|&"):
            words = [each for each in words if each not in _SHELL_WORDS]
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            if words and words[0] in PROGRAMS:
                yield words
            words = []
        else:
            words.append(word)


def without_comments(shell: str) -> str:
    """`shell` without the comments at the ends of its lines."""
    return re.sub(r"(^|\s)#.*$", "", shell, flags=re.MULTILINE)


def scripts(value: object) -> Iterator[str]:
    """The strings in parsed YAML that call one of PROGRAMS."""
    if isinstance(value, str):
        if _STARTS_WITH_PROGRAM.search(value):
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from scripts(each)
    elif isinstance(value, list):
        for each in value:
            yield from scripts(each)
