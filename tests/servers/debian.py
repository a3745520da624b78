"""A base for the steps' image from Debian's own packages on this machine: Python, git, ca-certificates, as a layout."""

import gzip
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("base-files", "dash", "coreutils", "python3", "git", "ca-certificates", "libstdc++6")
# What git and Python depend on by their packages, and no step calls.
UNUSED = {
    "perl",
    "perl-base",
    "liberror-perl",
    "git-man",
    "media-types",
    "tzdata",
    "debconf",
    "openssl",
    "less",
    "patch",
}
UNREAD = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info", "/usr/share/lintian", "/var/")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Written by what runs when the packages are installed.
GENERATED = ("/etc/ssl/certs/ca-certificates.crt", "/bin", "/sbin", "/lib", "/lib64")
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base as `oci:DIR:tag`: an index of one platform."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(f"/usr/bin/python{version}").exists() or not Path("/var/lib/dpkg/status").exists():
        pytest.skip(f"this machine has no Python {version} from Debian to make a base of")
    directory = tmp_path_factory.mktemp("debian") / "base"
    names = sorted(_closure(PACKAGES))
    write_layout(directory, _packed(names), platform={"os": "linux", "architecture": _architecture()})
    return f"oci:{directory}:debian"


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _closure(packages: tuple[str, ...]) -> set[str]:
    """The packages with all that they depend on, as far as it is installed."""
    text = _run("dpkg-query", "--show", "--showformat", "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n")
    needs: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, depends, provides = line.split("\t")
        needs[name] = re.findall(r"(?:^|[,|]) *([a-z0-9.+-]+)", depends)
        for virtual in re.findall(r"(?:^|,) *([a-z0-9.+-]+)", provides):
            needs.setdefault(virtual, [name])
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name in needs and name not in found and name not in UNUSED:
            found.add(name)
            waiting += needs[name]
    return found


def _packed(packages: list[str]) -> bytes:
    listed = subprocess.run(
        ["dpkg-query", "--listfiles", *packages], capture_output=True, text=True, check=False
    ).stdout
    paths = {*listed.splitlines(), *GENERATED}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(path for path in paths if path.startswith("/") and not path.startswith(UNREAD)):
            folder, name = os.path.split(path)
            # Debian's packages still say /lib for what lies in /usr/lib.
            real = str(Path(os.path.realpath(folder)) / name)
            if os.path.lexists(real) and real != "/" and not real.endswith(".pyc"):
                tar.add(real, real.lstrip("/"), recursive=False)
        for name in ("tmp", "proc", "dev", "sys", "var", "var/tmp"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755
            tar.addfile(info)
    return buffer.getvalue()


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def write_layout(
    directory: Path,
    *archives: bytes,
    platform: dict[str, str],
    config: dict[str, Any] | None = None,
    tag: str = "debian",
) -> None:
    """An OCI layout by hand, from tar archives: one image, in an index as public bases have it."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(body: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(body).hexdigest()
        (blobs / digest).write_bytes(body)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(body), **more}

    layers = [put(archives[0], LAYER)]
    layers += [put(gzip.compress(archive, mtime=0), f"{LAYER}+gzip") for archive in archives[1:]]
    diff_ids = [f"sha256:{hashlib.sha256(archive).hexdigest()}" for archive in archives]
    settings = {"Env": [f"PATH={PATH}", "LANG=C.UTF-8"], "Cmd": ["sh"]} if config is None else config
    document = {**platform, "config": settings, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    made = put(json.dumps(document).encode(), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": made, "layers": layers}
    image = put(json.dumps(manifest).encode(), MANIFEST, platform=platform)
    index = put(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [image]}).encode(), INDEX)
    index["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


# What Roadie wants of a base, and not a byte more: for tests that run nothing in it.
FILES = {
    f"usr/bin/python{sys.version_info.major}.{sys.version_info.minor}": b"",
    "usr/bin/git": b"",
    "etc/ssl/certs/ca-certificates.crt": b"",
    "usr/lib/libc.so.6": b"\0GNU C Library (Debian GLIBC 9.36-9) stable release version 9.36.\n\0",
    "usr/lib/libstdc++.so.6": b"",
}
LINKS = {"usr/bin/python3": f"python{sys.version_info.major}.{sys.version_info.minor}"}


def tar_of(files: Mapping[str, bytes], links: Mapping[str, str] = {}) -> bytes:
    """A tar archive of files and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return buffer.getvalue()


def tiny_base(
    directory: Path,
    *,
    files: Mapping[str, bytes | None] = {},
    links: Mapping[str, str] = {},
    upper: Sequence[bytes] = (),
    architecture: str = "",
    config: dict[str, Any] | None = None,
) -> str:
    """A base as `oci:DIR:tag` that looks like one; `files` and `links` change what is in it, None takes away.

    `upper` are archives of layers over it.
    """
    kept = {name: content for name, content in (FILES | dict(files)).items() if content is not None}
    platform = {"os": "linux", "architecture": architecture or _architecture()}
    write_layout(directory, tar_of(kept, LINKS | dict(links)), *upper, platform=platform, config=config)
    return f"oci:{directory}:debian"
