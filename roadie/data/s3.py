"""Tables from an S3 bucket: boto3, many parts at a time, the version of each object pinned and recorded.

The endpoint is AWS_S3_ENDPOINT, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; the rest is what boto3 reads.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from roadie.data.schema import TABLES
from roadie.data.sources import redact
from roadie.errors import DataError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ENDPOINT_VARIABLES = ("AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
PART = 8 * 1024 * 1024
TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=8)
REFUSED = frozenset(
    {"AccessDenied", "ExpiredToken", "Forbidden", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)


def download(source: str, folder: Path, names: Sequence[str] = TABLES) -> dict[str, str | None]:
    """Fetch the tables `names` of `s3://BUCKET/PREFIX` into `folder`; returned are the version ids by name.

    Raises:
        DataError: the address is malformed, or the store refuses, lacks bucket or key, or does not answer.
    """
    bucket, prefix = _parse(source)
    endpoint = next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)
    versions: dict[str, str | None] = {}
    for name in names:
        key = f"{prefix}/{name}".lstrip("/")
        with _explained(bucket, key, endpoint):
            client = _client(endpoint)
            versions[name] = _version(client, bucket, key)
            pinned = {"VersionId": versions[name]} if versions[name] else {}
            client.download_file(bucket, key, str(folder / name), ExtraArgs=pinned, Config=TRANSFER)
    return versions


def _parse(source: str) -> tuple[str, str]:
    bucket, _, prefix = source.partition("://")[2].partition("/")
    if not bucket or "@" in bucket:
        raise DataError(
            f"{redact(source)} is no S3 address; write s3://BUCKET/PREFIX and set the keys as AWS_ variables"
        )
    return bucket, prefix.strip("/")


def _client(endpoint: str | None) -> "S3Client":
    if endpoint and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    # Stores other than Amazon's seldom have a host name per bucket, and take any region.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    client: S3Client = boto3.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region or ("us-east-1" if endpoint else None),
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard"},
            s3={"addressing_style": "path" if endpoint else "auto"},
        ),
    )
    return client


def _version(client: "S3Client", bucket: str, key: str) -> str | None:
    """The object's version id, or None where the bucket keeps no versions."""
    # GET, closed unread: the answer to a HEAD has no body to tell a missing bucket from a key or a wrong secret.
    response = client.get_object(Bucket=bucket, Key=key)
    response["Body"].close()
    version = response.get("VersionId")
    return None if version == "null" else version  # "null" is the version of what was stored before there were any


@contextlib.contextmanager
def _explained(bucket: str, key: str, endpoint: str | None) -> Iterator[None]:
    """Turn what boto3 raises into one DataError that names the object, the store and what to do."""
    what, where = f"s3://{bucket}/{key}", redact(endpoint) if endpoint else "Amazon S3"
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an unknown error")
        raise DataError(_sentence(code, what, bucket, where)) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DataError(
            f"There are no credentials to read {what} at {where} with; "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role"
        ) from error
    except (BotoCoreError, Boto3Error, ValueError, OSError) as error:
        raise DataError(
            f"{what} could not be had from {where}: {type(error).__name__}; "
            f"check the address, the network and {ENDPOINT_VARIABLES[0]}"
        ) from error


def _sentence(code: str, what: str, bucket: str, where: str) -> str:
    if code == "NoSuchBucket":
        return f"There is no bucket {bucket} at {where}; check the source's name and {ENDPOINT_VARIABLES[0]}"
    if code == "NoSuchKey":
        return f"There is no {what} at {where}; look at what the prefix holds"
    if code in REFUSED:
        return (
            f"{where} refused to hand out {what} ({code}); "
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may read"
        )
    return f"{where} answered {code} for {what}; check the source and the store"
