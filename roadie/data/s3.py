"""Tables from an S3 bucket: boto3, many parts at a time, the version of each object pinned and recorded.

The endpoint is AWS_S3_ENDPOINT, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, and AWS_S3_ADDRESSING_STYLE says how buckets
are addressed; the rest is what boto3 reads.
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

from roadie.addresses import redact
from roadie.data.parts import choose_parts
from roadie.data.schema import TABLES
from roadie.errors import DataError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

STYLE_VARIABLE = "AWS_S3_ADDRESSING_STYLE"
ENDPOINT_VARIABLES = ("AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
WORDS = 300  # signs of what a store says
PART = 8 * 1024 * 1024
TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=8)
REFUSED = frozenset(
    {"AccessDenied", "ExpiredToken", "Forbidden", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)


def download(source: str, folder: Path, names: Sequence[str] = TABLES) -> dict[str, str | None]:
    """Fetch the tables `names` of `s3://BUCKET/PREFIX` into `folder`, each an object or the parts below its name.

    Returns:
        The version ids by the names of the files, which are NAME or NAME/PART.

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
            try:
                versions[name] = _fetch(client, bucket, key, folder / name)
                continue
            except ClientError as missing:
                listed = _listed(client, bucket, f"{key}/") if _code(missing) == "NoSuchKey" else []
                if not listed:
                    raise
        for part in choose_parts(f"s3://{bucket}/{key}", listed):
            with _explained(bucket, f"{key}/{part}", endpoint):
                versions[f"{name}/{part}"] = _fetch(client, bucket, f"{key}/{part}", folder / name / part)
    return versions


def _listed(client: "S3Client", bucket: str, prefix: str) -> list[str]:
    """The keys below a prefix, without it."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"].removeprefix(prefix) for page in pages for each in page.get("Contents", [])]
    return [key for key in keys if key]  # the prefix itself is what some tools make a folder of


def _fetch(client: "S3Client", bucket: str, key: str, path: Path) -> str | None:
    """Fetch one object, as it is now; its version id."""
    version = _version(client, bucket, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    client.download_file(bucket, key, str(path), ExtraArgs={"VersionId": version} if version else {}, Config=TRANSFER)
    return version


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
    style = os.environ.get(STYLE_VARIABLE, "")
    if style not in ("", "auto", "path", "virtual"):
        raise DataError(f"{STYLE_VARIABLE} is {style[:20]!r}; say auto, path or virtual, or leave it out")
    # Stores other than Amazon's take any region.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    client: S3Client = boto3.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region or ("us-east-1" if endpoint else None),
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard"},
            # The tables' digests are our own; some stores send the whole object's checksum with each part of it.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # None leaves it to the user's AWS configuration, and that to boto3: by path at an endpoint.
            s3={"addressing_style": style} if style else None,  # type: ignore[arg-type]
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
        raise DataError(_sentence(_code(error), what, bucket, where) + _words(error)) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DataError(
            f"There are no credentials to read {what} at {where} with; "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role"
        ) from error
    except (BotoCoreError, Boto3Error, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:WORDS] or type(error).__name__
        raise DataError(
            f"{what} could not be had from {where}: {redact(reason)}; "
            f"check the address, the network and {ENDPOINT_VARIABLES[0]}"
        ) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "an unknown error"))


def _words(error: ClientError) -> str:
    """What the store itself says, and the endpoint that it names instead, if any."""
    told = error.response.get("Error", {})
    said = (str(told.get(name, "")) for name in ("Message", "Endpoint"))
    text = redact(" ".join(" ".join(said).split()))[:WORDS]
    return f" (it said: {text})" if text else ""


def _sentence(code: str, what: str, bucket: str, where: str) -> str:
    if code == "NoSuchBucket":
        return f"There is no bucket {bucket} at {where}; check the source's name and {ENDPOINT_VARIABLES[0]}"
    if code == "NoSuchKey":
        return f"There is no {what} at {where}; look at what the prefix holds"
    if code in REFUSED:
        return (
            f"{where} refused to hand out {what} ({code}); "
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and what they may read"
        )
    return f"{where} answered {code} for {what}; check the source and the store"
