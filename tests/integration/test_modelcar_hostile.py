"""Hostile images in a real registry, and registries that send without end: nothing is lost, and little is taken."""

import contextlib
import json
import os
import subprocess
import sys
import tarfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from roadie import modelcar
from roadie.errors import ModelCarError
from roadie.modelcar.documents import CONFIG, LAYER, MANIFEST, sha256
from tests.servers.http import serving
from tests.servers.images import Member, archive, image, member
from tests.servers.registry import RegistryServer


@pytest.mark.parametrize(
    "evil",
    [
        member("models/{victim}/.wh.file"),
        member("models/.wh..."),
        member("models/{victim}/new", b"x"),
        member("models/link", kind=tarfile.SYMTYPE, target="{victim}"),
    ],
    ids=["whiteout", "whiteout of ..", "absolute", "link"],
)
def test_pulling_a_hostile_image_costs_nothing_outside_of_the_folder(
    registry: RegistryServer, tmp_path: Path, evil: Member, request: pytest.FixtureRequest
) -> None:
    victim = tmp_path / "here/victim"
    victim.mkdir(parents=True)
    (victim / "file").write_bytes(b"before")
    info, content = evil
    named = member(info.name.replace("{victim}", f"/{victim}"), content, info.type, info.linkname)
    repository = f"hostile/{sha256(request.node.name.encode())[7:19]}"
    reference = image(registry.reference(repository), archive(member("models/good", b"good"), named))
    with pytest.raises(ModelCarError, match="cannot be unpacked"):
        modelcar.pull(reference, tmp_path / "here/back")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["victim"]
    assert {path.name: path.read_bytes() for path in victim.iterdir()} == {"file": b"before"}


READ = """
import sys
from pathlib import Path
from roadie import modelcar
from roadie.errors import RoadieError
try:
    getattr(modelcar, sys.argv[1])(sys.argv[2], *map(Path, sys.argv[3:]))
except RoadieError as error:
    # Not getrusage, whose peak goes back to before the exec.
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(int(peak) >> 10, error)
"""


def read(how: str, *arguments: str) -> tuple[int, str]:
    """The most memory (MiB) that a process took to read an image, and the sentence that it ended with."""
    done = subprocess.run([sys.executable, "-c", READ, how, *arguments], capture_output=True, text=True, check=True)
    memory, _, sentence = done.stdout.strip().partition(" ")
    return int(memory), sentence


LAYER_BODY = archive(member("models/x", b"x"))
SMALL_CONFIG = b'{"architecture":"amd64","os":"linux"}'


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
@pytest.mark.parametrize("endless", ["manifest", "config", "layer", "refusal"])
def test_a_registry_that_sends_without_end_is_cut_off(tmp_path: Path, endless: str, chunked: bool) -> None:
    manifest = json.dumps(
        {
            "config": {"mediaType": CONFIG, "digest": sha256(SMALL_CONFIG), "size": len(SMALL_CONFIG)},
            "layers": [{"mediaType": LAYER, "digest": sha256(LAYER_BODY), "size": len(LAYER_BODY)}],
        }
    ).encode()

    class Endless(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind = next((kind for kind, part in PARTS.items() if part in self.path), "manifest")
            without_end = endless == kind or (endless == "refusal" and kind != "manifest")
            body = {"manifest": manifest, "config": SMALL_CONFIG, "layer": LAYER_BODY}[kind]
            self.send_response_only(403 if endless == "refusal" and kind != "manifest" else 200)
            self.send_header("Content-Type", MANIFEST)
            if without_end and chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(1 << 40 if without_end else len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                while without_end:
                    self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n" if chunked else bytes(0x10000))
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    PARTS = {"config": sha256(SMALL_CONFIG), "layer": sha256(LAYER_BODY)}
    with serving(Endless) as host:
        ways = {"manifest": ["inspect"], "config": ["inspect", "verify"], "layer": ["verify"], "refusal": ["verify"]}
        for how in ways[endless]:
            memory, sentence = read(how, f"{host}/endless/model:v1")
            assert memory < 100, sentence
            assert sentence
        if endless in {"layer", "refusal"}:
            memory, sentence = read("pull", f"{host}/endless/model:v1", str(tmp_path / "back"))
            assert memory < 100, sentence
            assert not list(tmp_path.iterdir())


STOCK = "/usr/bin/python3"
ROUND = """
import sys
from pathlib import Path
from roadie import modelcar
model, reference, back = sys.argv[1:]
pushed = modelcar.push(model, reference, base="none")
assert modelcar.inspect(pushed.reference).digest == modelcar.verify(reference).digest == pushed.digest
print(modelcar.pull(pushed.reference, back).files)
"""


@pytest.mark.skipif(
    not Path(STOCK).exists(), reason=f"there is no {STOCK}: only some machines have a Python of their own"
)
def test_push_and_pull_need_nothing_but_the_systems_own_python(registry: RegistryServer, tmp_path: Path) -> None:
    """Debian 12's is 3.11.2, whose tarfile has no extraction filters; and without one package, click among them."""
    (tmp_path / "model/1").mkdir(parents=True)
    (tmp_path / "model/1/weights.bin").write_bytes(b"weights")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [STOCK, "-S", "-c", ROUND, tmp_path / "model", registry.reference("stock/python"), tmp_path / "back"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "('1/weights.bin',)\n"), done.stderr
    assert (tmp_path / "back/1/weights.bin").read_bytes() == b"weights"
