"""Another registry than distribution: that of crane (go-containerregistry), on loopback and on disk."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import free_port, running
from tests.tools import tool


@contextlib.contextmanager
def serve_crane_registry(directory: Path) -> Iterator[str]:
    """Run it until the block ends, and give its host and port; everyone may push."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [str(tool("crane")), "registry", "serve", "--address", address, "--disk", str(directory)]
    with running(command, port, directory.parent / f"{directory.name}.log"):
        yield address
