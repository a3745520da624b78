"""A registry that forgets: it drops every blob's bytes in the kernel, so that only the client's speed counts."""

import hashlib
import re
import socket
import sys
import threading

_DRAIN = bytearray(1 << 20)
_MANIFESTS: dict[str, bytes] = {}


def serve(port: int) -> None:
    """Listen on loopback until killed; a thread a connection."""
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_converse, args=(connection,), daemon=True).start()


def _converse(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            received = connection.recv(1 << 16)
            if not received:
                return
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
    body = b""
    while True:
        while b"\r\n" not in pending:
            pending += connection.recv(1 << 16)
        size, _, pending = pending.partition(b"\r\n")
        length = int(size, 16)
        if length < len(_DRAIN):
            while len(pending) < length + 2:
                pending += connection.recv(1 << 16)
            body, pending = body + pending[: length if length < 1 << 16 else 0], pending[length + 2 :]
        else:
            pending, _ = _plain(connection, pending, length + 2, keep=False)
        if not length:
            return pending, body


def _answer(method: str, path: str, body: bytes) -> bytes:
    name = path.partition("?")[0].rpartition("/manifests/")
    headers, content, status = "", b"", "200 OK"
    if method == "POST":
        status, headers = "202 Accepted", f"Location: {path}session\r\n"
    elif method == "PATCH":
        status, headers = "202 Accepted", f"Location: {path}\r\n"
    elif method == "PUT" and name[1]:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        _MANIFESTS[name[2]] = _MANIFESTS[digest] = body
        status, headers = "201 Created", f"Docker-Content-Digest: {digest}\r\n"
    elif method == "PUT":
        status = "201 Created"
    elif path.rstrip("/") == "/v2":
        content = b"{}"
    elif name[2] in _MANIFESTS:
        content = _MANIFESTS[name[2]]
        media_type = re.search(rb'"mediaType": *"([^"]+)"', content)
        headers = f"Content-Type: {media_type[1].decode() if media_type else ''}\r\n"
        headers += f"Docker-Content-Digest: sha256:{hashlib.sha256(content).hexdigest()}\r\n"
    else:
        status = "404 Not Found"
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode()
    return head if method == "HEAD" else head + content


serve(int(sys.argv[1]))
