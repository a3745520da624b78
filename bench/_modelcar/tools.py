"""The tools that are measured beside Roadie, how each is called, and how to get what is missing."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
VENVS = HERE.parents[1] / ".roadie" / "bench"
# Two environments, because their requirements are none of Roadie's and are not to change Roadie's.
PACKAGES = {
    "olot": ["olot==1.2.1", "oras==0.2.43", "modelcar-base-image==0.1.0"],
    "oci-modelcar": ["oci-modelcar==1.3.0"],
}
DEBIAN = ["docker-registry", "skopeo", "buildah"]
SET_UP = f"python bench/modelcar.py --setup, and apt-get install {' '.join(DEBIAN)}"


@dataclass(frozen=True)
class Place:
    """What to push, and where to."""

    model: Path
    host: str
    repository: str
    tag: str
    scratch: Path

    @property
    def reference(self) -> str:
        """The tag to push to."""
        return f"{self.host}/{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Tool:
    """One way to push a model; `needs` are programs, and the last digest that the command prints is the image's."""

    name: str
    command: Callable[[Place], Sequence[str]]
    needs: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """What of its programs is not on this machine."""
        return [program for program in self.needs if not shutil.which(program)]


def python(venv: str) -> str:
    """The interpreter of one of the throwaway environments."""
    return str(VENVS / venv / "bin" / "python")


def _roadie(at: Place, *previous: str) -> list[str]:
    return [sys.executable, str(HERE / "push_with_roadie.py"), str(at.model), at.reference, *previous]


def _roadie_command(at: Place) -> list[str]:
    run = "from roadie.cli import main; main()"
    return [sys.executable, "-c", run, "modelcar", "push", str(at.model), at.reference, "--json"]


def _roadie_elsewhere(at: Place) -> list[str]:
    """On a machine that has never seen the files: it knows the previous image alone."""
    return ["env", "XDG_CACHE_HOME=/dev/null", *_roadie(at, f"{at.host}/{at.repository}:v1")]


def _olot(pusher: str) -> Callable[[Place], list[str]]:
    script = str(HERE / "push_with_olot.py")
    return lambda at: [python("olot"), script, pusher, str(at.model), at.host, at.repository, at.tag]


def _oci_modelcar(at: Place) -> list[str]:
    script = str(HERE / "push_with_oci_modelcar.py")
    return [python("oci-modelcar"), script, str(at.model), at.host, at.repository, at.tag]


def _buildah(at: Place) -> list[str]:
    storage = f"--root={at.scratch}/storage --runroot={at.scratch}/run --storage-driver=vfs"
    build = f"buildah {storage} bud -q --isolation=chroot -f {HERE}/Containerfile -t model {at.model}"
    push = (
        f"buildah {storage} push -q --tls-verify=false --digestfile={at.scratch}/digest model docker://{at.reference}"
    )
    return ["sh", "-ec", f"{build}; {push}; cat {at.scratch}/digest"]


def _skopeo_layout(at: Place) -> list[str]:
    copy = ["skopeo", "copy", "-q", "--multi-arch", "all", "--preserve-digests", "--dest-tls-verify=false"]
    return [*copy, f"oci:{at.scratch}/layout:v1", f"docker://{at.reference}"]


ROADIE = Tool("roadie", _roadie, ())
ROADIE_COMMAND = Tool("roadie, command line", _roadie_command, ())
ROADIE_ELSEWHERE = Tool("roadie, another machine", _roadie_elsewhere, ())
OCI_MODELCAR = Tool("oci-modelcar", _oci_modelcar, (python("oci-modelcar"),))
OLOT_SKOPEO = Tool("olot + skopeo", _olot("skopeo"), (python("olot"), "skopeo"))
OLOT_PRESERVE = Tool("olot + skopeo --preserve-digests", _olot("skopeo-preserve"), (python("olot"), "skopeo"))
OLOT_ORAS = Tool("olot + oras-py", _olot("oras"), (python("olot"),))
BUILDAH = Tool("buildah", _buildah, ("buildah",))
SKOPEO_LAYOUT = Tool("skopeo, layout ready", _skopeo_layout, ("skopeo",))


def set_up() -> None:
    """Make the throwaway environments; Debian packages are installed by whoever may."""
    for name, packages in PACKAGES.items():
        subprocess.run([sys.executable, "-m", "venv", VENVS / name], check=True)
        subprocess.run([python(name), "-m", "pip", "install", "--quiet", *packages], check=True)
