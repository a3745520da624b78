"""Charts from a real S3 server."""

import base64
import http.client
import http.server
import io
import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import pytest

from roadie import data
from roadie.data.s3 import PART, download
from roadie.data.schema import TABLES
from roadie.errors import DataError
from tests.servers.process import free_port
from tests.servers.s3 import DOMAIN, S3Server


@pytest.fixture(autouse=True)
def _as_the_user_would_set_it(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    data.write_sample(folder, seed=1)
    return folder


def refusal(source: str, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        data.load_charts(source, folder / "examples.parquet")
    assert list(folder.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_tables_give_the_same_bytes_from_a_bucket_and_from_a_folder(
    s3: S3Server, tables: Path, tmp_path: Path
) -> None:
    s3.put("plain", tables, "weeks/2023-12")
    remote = data.load_charts("s3://plain/weeks/2023-12/", tmp_path / "remote.parquet")
    local = data.load_charts(str(tables), tmp_path / "local.parquet")
    assert remote.sha256 == local.sha256
    assert remote.source == "s3://plain/weeks/2023-12/"
    assert [file.uri for file in remote.files] == [
        "s3://plain/weeks/2023-12/song_rankings.parquet",
        "s3://plain/weeks/2023-12/song_properties.parquet",
    ]
    assert [(file.sha256, file.size) for file in remote.files] == [(file.sha256, file.size) for file in local.files]
    assert [file.version_id for file in remote.files] == [None, None]


def test_a_single_table_comes_with_its_version(s3: S3Server, tables: Path, tmp_path: Path) -> None:
    versions = s3.put("holdouts", tables, "jukebox", versioned=True)
    name = TABLES[0]
    fetched = data.fetch_table(f"s3://holdouts/jukebox/{name}", tmp_path / "holdout.parquet")
    assert (tmp_path / "holdout.parquet").read_bytes() == (tables / name).read_bytes()
    assert (fetched.uri, fetched.version_id) == (f"s3://holdouts/jukebox/{name}", versions[name])
    with pytest.raises(DataError, match="There is no s3://holdouts/jukebox/none"):
        data.fetch_table("s3://holdouts/jukebox/none", tmp_path / "none.parquet")


def test_the_version_of_each_object_is_recorded(s3: S3Server, tables: Path, tmp_path: Path) -> None:
    s3.put("versioned", tables, versioned=True)
    versions = s3.put("versioned", tables, versioned=True)
    dataset = data.load_charts("s3://versioned", tmp_path / "examples.parquet")
    assert {file.name: file.version_id for file in dataset.files} == versions
    assert len(set(versions.values())) == 2


def test_a_large_table_comes_in_parallel_parts(s3: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    large, here = tmp_path / "large", tmp_path / "here"
    large.mkdir()
    here.mkdir()
    content = bytes(range(256)) * (3 * PART // 256)
    for name in TABLES:
        (large / name).write_bytes(content)
    s3.put("large", large)
    with caplog.at_level(logging.DEBUG, logger="s3transfer"):
        download("s3://large", here)
    assert [(here / name).read_bytes() == content for name in TABLES] == [True, True]
    ranges = {word for word in caplog.text.replace("'", " ").split() if word.startswith("bytes=")}
    assert len(ranges) == 3


def test_the_endpoint_may_stand_in_either_variable(
    s3: S3Server, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put("either", tables)
    monkeypatch.delenv("AWS_S3_ENDPOINT")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    assert data.load_charts("s3://either", tmp_path / "examples.parquet").rows > 0


def test_a_missing_bucket_is_named(tmp_path: Path, s3: S3Server) -> None:
    message = refusal("s3://nowhere/charts", tmp_path)
    assert message.startswith(f"There is no bucket nowhere at {s3.endpoint}; check")


def test_a_missing_key_is_named(tmp_path: Path, s3: S3Server, tables: Path) -> None:
    s3.put("keys", tables, "here")
    message = refusal("s3://keys/there", tmp_path)
    assert message.startswith("There is no s3://keys/there/song_rankings.parquet at")
    assert "look at what the prefix holds" in message


@pytest.mark.parametrize("variable", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_bad_credentials_are_said_to_be_bad_and_not_shown(
    s3: S3Server, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    s3.put("guarded", tables)
    monkeypatch.setenv(variable, "wrong-and-not-to-be-shown")
    message = refusal("s3://guarded", tmp_path)
    assert "refused to hand out s3://guarded/song_rankings.parquet" in message
    assert "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY" in message
    assert "not-to-be-shown" not in message and s3.secret_key not in message


def test_missing_credentials_are_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert refusal("s3://any", tmp_path).startswith("There are no credentials to read s3://any/song_rankings")


def test_a_store_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    message = refusal("s3://any/charts", tmp_path)
    assert message.startswith("s3://any/charts/song_rankings.parquet could not be had from http://127.0.0.1:")


@pytest.mark.parametrize("source", ["s3://", "s3:///prefix", "s3://key@bucket/prefix"])
def test_a_malformed_address_is_refused(source: str, tmp_path: Path) -> None:
    assert "is no S3 address; write s3://BUCKET/PREFIX and set the keys" in refusal(source, tmp_path)


class Front(http.server.BaseHTTPRequestHandler):
    """A proxy before the real store, which notes what is asked and may change what is answered."""

    store: str
    asked: list[http.client.HTTPMessage]
    change: Callable[["Front", int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]

    def do_GET(self) -> None:
        type(self).asked.append(self.headers)
        parts = urlsplit(self.path)
        upstream = http.client.HTTPConnection(type(self).store, timeout=30)
        upstream.putrequest(
            self.command, f"{parts.path}?{parts.query}".rstrip("?"), skip_host=True, skip_accept_encoding=True
        )
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders()
        answer = upstream.getresponse()
        status, headers, body = type(self).change(self, answer.status, dict(answer.getheaders()), answer.read())
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if self.command == "GET" else b"")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def front(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Front]]:
    """The store behind a proxy of the usual variables, so that its host may have any name."""
    unchanged = staticmethod(lambda _, *answer: answer)
    kind = type("Configured", (Front,), {"store": urlsplit(s3.endpoint).netloc, "asked": [], "change": unchanged})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("AWS_S3_ENDPOINT", f"http://{DOMAIN}")
        yield kind
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("told_by", ["configuration", "variable", "nothing"])
def test_buckets_are_addressed_as_the_user_s_configuration_says(
    s3: S3Server, front: type[Front], tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_by: str
) -> None:
    s3.put("by-host", tables)
    if told_by == "configuration":
        (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if told_by == "variable":
        monkeypatch.setenv("AWS_S3_ADDRESSING_STYLE", "virtual")
    assert data.load_charts("s3://by-host", tmp_path / "examples.parquet").rows
    assert {each["Host"] for each in front.asked} == {DOMAIN if told_by == "nothing" else f"by-host.{DOMAIN}"}


def test_an_addressing_style_that_there_is_none_of_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_ADDRESSING_STYLE", "vhost")
    assert "AWS_S3_ADDRESSING_STYLE is 'vhost'; say auto, path or virtual" in refusal("s3://any", tmp_path)


def test_a_store_that_sends_the_whole_object_s_checksum_with_each_part_is_read(
    s3: S3Server, front: type[Front], tmp_path: Path
) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "here").mkdir()
    content = bytes(range(256)) * (2 * PART // 256 + 1)
    (tmp_path / "large" / "table").write_bytes(content)
    s3.put("checksums", tmp_path / "large")
    whole = base64.b64encode(zlib.crc32(content).to_bytes(4)).decode()
    front.change = staticmethod(
        lambda _, status, headers, body: (status, {**headers, "x-amz-checksum-crc32": whole}, body)
    )  # type: ignore[assignment]
    download("s3://checksums", tmp_path / "here", ["table"])
    assert (tmp_path / "here" / "table").read_bytes() == content


def test_a_session_token_is_sent_and_the_store_s_own_sentence_is_shown(
    s3: S3Server, front: type[Front], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "User: x is not authorized to perform: kms:Decrypt on the key of this object"
    body = f"<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()
    front.change = staticmethod(lambda *_: (403, {"Content-Length": str(len(body))}, body))  # type: ignore[assignment]
    monkeypatch.setenv("AWS_SESSION_TOKEN", "for-an-hour")
    message = refusal("s3://any", tmp_path)
    assert f"(it said: {said})" in message
    assert {each["X-Amz-Security-Token"] for each in front.asked} == {"for-an-hour"}


def test_a_folder_of_parts_is_a_table_and_the_version_of_each_part_is_recorded(
    s3: S3Server, tables: Path, tmp_path: Path
) -> None:
    rankings, properties = TABLES
    rows = pl.read_parquet(tables / rankings)
    client, versions = s3.client(), {}
    s3.put("parts", tables, "only", versioned=True)
    for (day,), part in rows.group_by("snapshot_date"):
        name, content = f"day={str(day)[:10]}/part-0", io.BytesIO()
        part.write_parquet(content)
        for _ in range(2):
            put = client.put_object(Bucket="parts", Key=f"weeks/{rankings}/{name}", Body=content.getvalue())
        versions[f"{rankings}/{name}"] = put["VersionId"]
    for name in ("", "_SUCCESS", "day=x_$folder$", "_temporary/part-9", "day=y/.part.crc"):
        client.put_object(Bucket="parts", Key=f"weeks/{rankings}/{name}", Body=b"")
    put = client.put_object(Bucket="parts", Key=f"weeks/{properties}", Body=(tables / properties).read_bytes())
    versions[properties] = put["VersionId"]
    dataset = data.load_charts("s3://parts/weeks", tmp_path / "examples.parquet")
    assert dataset.sha256 == data.load_charts(str(tables), tmp_path / "local.parquet").sha256
    assert {file.name: file.version_id for file in dataset.files} == versions
