"""olot on a copy of the ModelCar base's layout, then skopeo or oras-py to push it; prints the digest.

argv: skopeo, skopeo-preserve or oras; model directory, registry host, repository, tag.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from modelcar_base_image.embedded_oci_layout import embedded_oci_layout
from olot.basics import oci_layers_on_top

pusher, directory, host, repository, tag = sys.argv[1:]
root = Path(directory)
with tempfile.TemporaryDirectory() as scratch:
    layout = Path(scratch, "layout")
    embedded_oci_layout(layout)
    for path in layout.rglob("*"):
        path.chmod(0o775 if path.is_dir() else 0o664)
    oci_layers_on_top(layout, sorted(path for path in root.rglob("*") if path.is_file()), root_dir=root)
    if pusher == "oras":
        from olot.backend.oras_py import oras_py_push

        oras_py_push(layout, f"{host}/{repository}:{tag}", insecure=True)
        print(json.loads(Path(layout, "index.json").read_text())["manifests"][0]["digest"])
    else:
        digest = Path(scratch, "digest")
        preserve = ["--preserve-digests"] if pusher == "skopeo-preserve" else []
        source, target = f"oci:{layout}:latest", f"docker://{host}/{repository}:{tag}"
        options = ["--multi-arch", "all", "--dest-tls-verify=false", f"--digestfile={digest}", *preserve]
        subprocess.run(["skopeo", "copy", "-q", *options, source, target], check=True)
        print(digest.read_text())
