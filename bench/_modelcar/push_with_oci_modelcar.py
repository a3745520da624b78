"""oci-modelcar's own file workers, four of them, on files that lie here instead of downloads; prints the digest.

argv: model directory, registry host, repository, tag.
"""

import hashlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oci_modelcar.download import HfFile
from oci_modelcar.manifest import BlobDescriptor, build_config_bytes, build_manifest_bytes
from oci_modelcar.pipeline import FileWorker
from oci_modelcar.registry import (
    OciClient,
    StreamingBlobUpload,
    head_blob,
    push_manifest,
    push_small_blob,
    validate_manifest_tag,
)


class Here:
    """In place of its downloader: the file is on this machine."""

    def download(self, repo: str, revision: str, file: HfFile, progress_cb: object = None) -> Path:
        """Where the file lies."""
        return Path(repo, file.path)


directory, host, repository, tag = sys.argv[1:]
root = Path(directory)
client = OciClient(registry_host=host, target_repo=repository)
files = [
    HfFile(str(path.relative_to(root)), path.stat().st_size, None) for path in sorted(root.rglob("*")) if path.is_file()
]


def process(file: HfFile) -> BlobDescriptor:
    """Spool, hash and push one file."""
    worker = FileWorker(Here(), client, head_blob, StreamingBlobUpload, "models/", Path(spool), False, 5)
    return worker.process(str(root), "", file)


with tempfile.TemporaryDirectory() as spool, ThreadPoolExecutor(4) as pool:
    layers = sorted(pool.map(process, files), key=lambda layer: layer.hf_path)
config = build_config_bytes([layer.digest for layer in layers])
push_small_blob(client, repository, config)
manifest = build_manifest_bytes(f"sha256:{hashlib.sha256(config).hexdigest()}", len(config), layers)
digest = push_manifest(client, repository, tag, manifest)
validate_manifest_tag(client, repository, tag, digest)
print(digest)
