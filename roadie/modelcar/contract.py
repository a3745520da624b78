"""What KServe and its runtimes want of a ModelCar, checked before one is visible to them.

The rules are those of KServe's "modelcars" storage: a sidecar that gets nothing but arguments (`sh -c "... ln -sf
/proc/$$/root/models /mnt/models && sleep infinity"`), and an init container that wants /models not to be empty.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from roadie.errors import ModelCarError
from roadie.modelcar import runtimes
from roadie.modelcar.files import Entry
from roadie.modelcar.image import Base, Platform
from roadie.modelcar.overlay import WHITEOUT
from roadie.modelcar.store import Store
from roadie.modelcar.unpack import Budget, opened

if TYPE_CHECKING:
    import subprocess

_ENTRYPOINT = "link-model-and-wait"
_TOOLS = {"sh", "ln", "sleep", "ls"}


def check_files(entries: Sequence[Entry], runtime: str = "") -> None:
    """ModelCarError for names that a container runtime, or the `runtime` that is to serve them, would not understand.

    Where no runtime is named, what OpenVINO's would not find is only warned about: others have rules of their own.
    """
    for entry in entries:
        if PurePosixPath(entry.name).name.startswith(WHITEOUT):
            raise ModelCarError(f"{entry.path} has a name that means a deleted file in an image layer: rename it.")
    if runtime:
        runtimes.check(runtime, entries)
    elif wrong := runtimes.misplaced("openvino", entries):
        import logging

        logging.getLogger("roadie.modelcar").warning(
            "%s If another runtime than OpenVINO's is to serve it, name it: %s.", wrong, ", ".join(runtimes.RUNTIMES)
        )


class OnnxCheck:
    """onnx.checker on every model, in a process of its own: it runs while the upload does, and its memory is not ours.

    Where onnx is not installed (in a pipeline's step the training step has checked the model) there is nothing to do.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._paths = [entry.path for entry in runtimes.onnx_files(entries)]
        self._process: subprocess.Popen[str] | None = None
        spec = importlib.util.find_spec("onnx") if self._paths else None
        if spec and spec.origin:
            import subprocess

            library = next(Path(spec.origin).parent.glob("onnx_cpp2py_export*.so"), "")
            command = [sys.executable, "-I", "-c", _CHECK, str(library), *self._paths]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def finish(self) -> None:
        """Wait for the verdict; ModelCarError when a model is not valid."""
        if self._process is None:
            return
        said, _ = self._process.communicate()
        if self._process.returncode < 0:
            raise ModelCarError(
                f"The check of {self._paths[0]} was killed: an ONNX model needs its size in free memory."
            )
        if self._process.returncode:
            path, _, why = said.strip().partition("\n")
            raise ModelCarError(f"{path or self._paths[0]} is not a valid ONNX model ({why[:200]}): export it again.")

    def close(self) -> None:
        """End the process if the push ends before it."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


# onnx.checker is a thin wrapper of one function of a native module. To load that alone takes 15 ms, to import onnx 200,
# which is more than the whole push of a small model; with another version of onnx it is imported after all.
_CHECK = """
import sys
from importlib.util import module_from_spec, spec_from_file_location

def check(library, path):
    try:
        spec = spec_from_file_location("onnx.onnx_cpp2py_export", library)
        native = module_from_spec(spec)
        spec.loader.exec_module(native)
        native.checker.check_model_path(path, False, False, False)
    except (AttributeError, ImportError, OSError, TypeError):
        import onnx.checker
        onnx.checker.check_model(path)

library, *paths = sys.argv[1:]
for path in paths:
    try:
        check(library, path)
    except Exception as error:
        print(path, " ".join(str(error).split()), sep="\\n")
        sys.exit(1)
"""


def check_base(base: Base, store: Store | None) -> None:
    """ModelCarError when a container of the image could not make the link that KServe's server follows."""
    if store is None:
        return  # for image volumes: nothing is run
    for part in base.platforms:
        entrypoint = (part.config.get("config") or {}).get("Entrypoint") or []
        if entrypoint and PurePosixPath(entrypoint[0]).name != _ENTRYPOINT:
            raise ModelCarError(
                f"The base {base.name} has the entrypoint {entrypoint[0]}, but KServe gives its sidecar arguments "
                "alone (sh -c ...), which that program would get: take a base without one, or the embedded base."
            )
        if not entrypoint and (missing := _TOOLS - _programs(part, store)):
            raise ModelCarError(
                f"The base {base.name} lacks {', '.join(sorted(missing))}, with which KServe's sidecar links the model "
                "to /mnt/models: take the embedded base, or for image volumes the base none."
            )


def _programs(part: Platform, store: Store) -> set[str]:
    """The names in the usual folders for programs; every layer has to be read for that."""
    found: set[str] = set()
    budget = Budget()
    for layer in part.layers:
        with opened(store, layer, budget) as archive:
            names = (PurePosixPath("/", member.name) for member in archive)
            found |= {name.name for name in names if name.parent.name in {"bin", "sbin"}}
        if found >= _TOOLS:
            break
    return found
