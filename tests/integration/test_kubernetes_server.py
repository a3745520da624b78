"""The API server that tests start: it ends with them, and what stands before it says what it says itself."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from tests.rollouts import api
from tests.servers.kubernetes_api import KubernetesApi, account_token
from tests.servers.kubernetes_server import ApiError, kubernetes_server

__all__ = ["api"]

ROOT = Path(__file__).resolve().parents[2]
STARTS = """
import time
from tests.servers.kubernetes_server import kubernetes_server
print(kubernetes_server().url, flush=True)
time.sleep(600)
"""


def test_it_ends_with_its_parent_however_that_ends() -> None:
    kubernetes_server()  # it is skipped where there is none
    parent = subprocess.Popen([sys.executable, "-c", STARTS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    port = int(parent.stdout.readline().rpartition(":")[2])
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while answers(port):
        assert time.monotonic() < deadline, "the API server outlived its parent"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_an_absent_group_is_told_as_the_server_tells_it(api: KubernetesApi) -> None:
    path = "/apis/argoproj.io/v1alpha1/namespaces/music/applications"
    with pytest.raises(ApiError) as unknown:
        api.server.ask("GET", path.replace("argoproj.io", "example.com"))
    api.absent.add("argoproj.io")
    answer = urllib3.request("GET", api.url + path)
    assert (answer.status, answer.data.decode().strip()) == (unknown.value.status, unknown.value.words)


def test_what_comes_through_the_proxy_is_what_the_server_says(api: KubernetesApi) -> None:
    headers = {"Authorization": f"Bearer {account_token(api.server)}"}
    for path in ("/api/v1/namespaces/music/pods", "/api/v1/namespaces/music/secrets", "/version"):
        direct = api.server.open("GET", path, None, headers)
        through = urllib3.request("GET", api.url + path, headers=headers)
        assert (through.status, through.data) == (direct.status, direct.read())
    assert [each.verb for each in api.asked] == ["list", "list", "get"]
