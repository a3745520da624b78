"""A registry that forgets: it drops every blob's bytes in the kernel, so that only the client's speed counts.

A process a connection, since threads of one would wait for one another; what they must know of is files in a directory.
argv: port, directory.
"""

import hashlib
import os
import re
import signal
import socket
import sys
from pathlib import Path

_DRAIN = bytearray(1 << 20)
_KNOWN = Path(sys.argv[2])


def serve(port: int) -> None:
    """Listen on loopback until killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        connection, _ = listener.accept()
        if not os.fork():
            _converse(connection)
            os._exit(0)
        connection.close()


def _converse(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            received = connection.recv(1 << 16)
            if not received or not (pending + received)[:1].isalpha():
                return  # gone, or trying TLS first
            pending += received
        head, _, pending = pending.partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        keep = method == "PUT" and "/manifests/" in path
        if re.search(rb"(?i)\r\nexpect: *100-continue", head):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            pending, body = _chunked(connection, pending)
        else:
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            pending, body = _plain(connection, pending, int(length[1]) if length else 0, keep)
        connection.sendall(_answer(method, path, body))


def _plain(connection: socket.socket, pending: bytes, length: int, keep: bool) -> tuple[bytes, bytes]:
    body, pending = pending[:length], pending[length:]
    left = length - len(body)
    while left and keep:
        received = connection.recv(left)
        body, left = body + received, left - len(received)
    while left:
        dropped = connection.recv_into(_DRAIN, min(left, len(_DRAIN)), socket.MSG_TRUNC)
        if not dropped:
            break
        left -= dropped
    return pending, body


def _chunked(connection: socket.socket, pending: bytes) -> tuple[bytes, bytes]:
    """Drop a chunked body; none that is sent so is needed here."""
    while True:
        while b"\r\n" not in pending:
            pending += connection.recv(1 << 12)
        size, _, pending = pending.partition(b"\r\n")
        length = int(size, 16)
        pending, _ = _plain(connection, pending, length + 2, keep=False)
        if not length:
            return pending, b""


def _answer(method: str, path: str, body: bytes) -> bytes:
    name = path.partition("?")[0].rpartition("/manifests/")
    headers, content, status = "", b"", "200 OK"
    if method == "POST":
        status, headers = "202 Accepted", f"Location: {path}session\r\n"
    elif method == "PATCH":
        status, headers = "202 Accepted", f"Location: {path}\r\n"
    elif method == "PUT" and name[1]:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        for called in (name[2], digest):
            (_KNOWN / called).write_bytes(body)
        status, headers = "201 Created", f"Docker-Content-Digest: {digest}\r\n"
    elif method == "PUT":
        status = "201 Created"
        for digest in re.findall("sha256(?::|%3A)([0-9a-f]{64})", path):
            (_KNOWN / digest).touch()
    elif (_KNOWN / path[-64:]).is_file() and not name[1]:
        headers = f"Docker-Content-Digest: sha256:{path[-64:]}\r\n"
    elif path.rstrip("/") == "/v2":
        content = b"{}"
    elif name[1] and (_KNOWN / name[2]).is_file():
        content = (_KNOWN / name[2]).read_bytes()
        media_type = re.search(rb'"mediaType": *"([^"]+)"', content)
        headers = f"Content-Type: {media_type[1].decode() if media_type else ''}\r\n"
        headers += f"Docker-Content-Digest: sha256:{hashlib.sha256(content).hexdigest()}\r\n"
    else:
        status = "404 Not Found"
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode()
    return head if method == "HEAD" else head + content


serve(int(sys.argv[1]))
