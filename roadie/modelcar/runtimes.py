"""Where the model servers of KServe look for a model, each in its own layout below /models.

OpenVINO Model Server, "Preparing a Model Repository"; Triton Inference Server, "Model Repository"; KServe's runtimes
for Hugging Face and MLServer. A runtime more is one entry.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roadie.errors import ModelCarError, UsageError
from roadie.modelcar.documents import ROOT
from roadie.modelcar.files import Entry


@dataclass(frozen=True)
class Runtime:
    """`onnx` is where a file of ONNX may lie, `needed` what one file must be called at least; below /models."""

    title: str
    onnx: str = ".+"
    needed: str = ".+"
    advice: str = ""


RUNTIMES = {
    "openvino": Runtime(
        "OpenVINO's runtime looks into numbered version folders",
        onnx=r"[0-9]+/.+",
        advice="put it into a folder 1, as 1/model.onnx",
    ),
    "triton": Runtime(
        "Triton looks into a folder for each model, with numbered version folders in it",
        onnx=r"[^/]+/[0-9]+/.+",
        needed=r"[^/]+/([0-9]+/.+|config\.pbtxt)",
        advice="lay it out as NAME/1/model.onnx with NAME/config.pbtxt",
    ),
    "huggingface": Runtime(
        "the runtime for Hugging Face looks for config.json at the top",
        needed=r"config\.json",
        advice="put what save_pretrained writes at the top",
    ),
    "mlserver": Runtime(
        "MLServer looks for the model, or for model-settings.json, at the top",
        needed=r"[^/]+",
        advice="put the model's file at the top",
    ),
    "any": Runtime("any layout will do"),
}


def onnx_files(entries: Iterable[Entry]) -> list[Entry]:
    """The files that are ONNX models by their name."""
    return [entry for entry in entries if entry.stamp and entry.name.endswith(".onnx")]


def check(name: str, entries: Sequence[Entry]) -> None:
    """ModelCarError when the runtime would not find the model; UsageError when nothing is known of such a runtime."""
    if name not in RUNTIMES:
        raise UsageError(f"There is no runtime {name!r} that Roadie knows the layout of: use {', '.join(RUNTIMES)}.")
    if wrong := misplaced(name, entries):
        raise ModelCarError(wrong)


def misplaced(name: str, entries: Sequence[Entry]) -> str:
    """What the runtime would not find, and where to put it; empty when all is in its place."""
    runtime = RUNTIMES[name]
    for entry in onnx_files(entries):
        if not re.fullmatch(runtime.onnx, entry.name.removeprefix(f"{ROOT}/")):
            return f"{entry.path} would be /{entry.name}, but KServe's {runtime.title}: {runtime.advice}."
    files = [entry.name.removeprefix(f"{ROOT}/") for entry in entries if entry.stamp]
    if not any(re.fullmatch(runtime.needed, file) for file in files):
        return f"There is no file as it should be: {runtime.title}: {runtime.advice}."
    return ""
