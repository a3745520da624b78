"""Which modules of roadie a step reaches, told from the sources alone.

A step's body imports a room and uses some of the names that the room's ``__init__`` offers. Only the modules behind
those names have to travel, and what these import in turn; the room's ``__init__`` travels with those imports.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from roadie.errors import UsageError


def reach(body: str, package: Path) -> dict[str, str]:
    """The modules of `package` that the Python source `body` reaches, as source by module name.

    Names are used as ``from package import room`` and ``room.name``, or as ``from package.room.module import name``.

    Raises:
        UsageError: a module that is imported is not there.
    """
    return _Reach(package).from_body(body)


class _Reach:
    """The walk over the imports; a room is visited again when another of its names turns out to be used."""

    def __init__(self, package: Path) -> None:
        self._root = package
        self._modules: dict[str, str] = {}
        self._used: dict[str, set[str]] = defaultdict(set)

    def from_body(self, body: str) -> dict[str, str]:
        self._modules[self._root.name] = self._source(self._root.name)
        self._visit(ast.parse(body))
        rooms = {name: _pruned(self._source(name), used) for name, used in self._used.items()}
        return dict(sorted({**self._modules, **rooms}.items()))

    def _visit(self, tree: ast.Module) -> None:
        for module, names in _imports(tree, self._root.name):
            submodules = {name for name in names if path_of(f"{module}.{name}", self._root).is_file()}
            for name in submodules:
                self._need(f"{module}.{name}", _attributes(tree, names[name]))
            if module != self._root.name:
                self._need(module, set(names) - submodules)

    def _need(self, module: str, names: set[str]) -> None:
        # Importing a.b.c runs a/__init__ and a.b/__init__ first.
        parent = module.rpartition(".")[0]
        if parent != self._root.name:
            self._need(parent, set())
        source = self._source(module)
        if self._is_package(module) and _only_imports(source):
            new = names - self._used[module]
            self._used[module] |= names
            if new:
                self._visit(ast.parse(_pruned(source, new)))
        elif module not in self._modules:
            self._modules[module] = source
            self._visit(ast.parse(source))

    def _is_package(self, module: str) -> bool:
        return (self._root.parent / module.replace(".", "/")).is_dir()

    def _source(self, module: str) -> str:
        path = path_of(module, self._root)
        if not path.is_file():
            raise UsageError(f"a step imports {module}, which is not there: look into {self._root.name}/")
        return path.read_text(encoding="utf-8")


def path_of(module: str, package: Path) -> Path:
    """The file of a module of `package`."""
    place = package.parent / module.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each import from `package`: the module, and the names taken from it with what they are called here.

    What stands under ``if TYPE_CHECKING:`` is never run, so it is left out.
    """
    types = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    never = {id(each) for node in types for statement in node.body for each in ast.walk(statement)}
    for node in ast.walk(tree):
        if (
            id(node) not in never
            and isinstance(node, ast.ImportFrom)
            and (node.module or "").partition(".")[0] == package
        ):
            yield node.module or "", {alias.name: alias.asname or alias.name for alias in node.names}


def _attributes(tree: ast.Module, name: str) -> set[str]:
    """What is used of `name`, as in ``name.attribute``."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


def _only_imports(source: str) -> bool:
    """Whether an ``__init__`` does nothing but offer what other modules define."""
    return all(
        isinstance(node, ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"])
        for node in ast.parse(source).body
    )


def _pruned(source: str, names: set[str]) -> str:
    """An ``__init__`` of imports with only those that bring in `names`."""
    kept = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            aliases = [alias for alias in node.names if (alias.asname or alias.name) in names]
            if aliases:
                kept.append(ast.unparse(ast.ImportFrom(node.module, aliases, node.level)))
    return "\n".join(kept) + "\n" if kept else ""
