"""The files that are a model: an ONNX file may keep its weights in others beside it (external data)."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from roadie.errors import EvaluationError

MODEL = "model.onnx"


@dataclass(frozen=True)
class ModelFiles:
    """Files below a folder, by name; `model` is that of the ONNX file."""

    folder: Path
    model: str
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum((self.folder / name).stat().st_size for name in self.names)

    @cached_property
    def sha256(self) -> str:
        """Of the one file there is, else of the list of all files' digests and names, as sha256sum writes it."""
        digests = {name: _sha256(self.folder / name) for name in self.names}
        if len(digests) == 1:
            return digests[self.model]
        listed = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
        return hashlib.sha256(listed.encode()).hexdigest()

    def lay_out(self, folder: Path) -> None:
        """Put the files, and nothing else, into a folder: as links where that can be, else as copies."""
        for name in self.names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.folder / name, folder / name)
            except OSError:
                shutil.copyfile(self.folder / name, folder / name)


def find_files(path: Path) -> ModelFiles:
    """The files of a model.

    Args:
        path: a version folder with a model.onnx, such as ``1``, or that file: all that is below the folder belongs to
            it. Or another ONNX file, to which the files belong whose names begin with its own.

    Raises:
        EvaluationError: a file is a link out of the folder, or no regular file.
    """
    file = path / MODEL if path.is_dir() else path
    folder = file.parent
    found = (
        folder.rglob("*")
        if file.name == MODEL
        else (each for each in folder.glob("*") if each.name.startswith(file.name))
    )
    names = sorted(each.relative_to(folder).as_posix() for each in found if not each.is_dir() or each.is_symlink())
    root = folder.resolve()
    for name in names:
        target = (folder / name).resolve()
        if not target.is_file() or not target.is_relative_to(root):
            raise EvaluationError(f"{name} beside {file.name} is no file of the model's own folder; put the file there")
    return ModelFiles(folder, file.name, tuple(names))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
