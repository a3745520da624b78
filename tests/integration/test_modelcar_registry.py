"""Push to and read from real registries: open, with a password, with a token service, with TLS."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from roadie import modelcar
from roadie.errors import ModelCarError, RegistryError
from roadie.modelcar import Access
from tests.servers.process import require
from tests.servers.registry import PASSWORD, RegistryServer, skopeo
from tests.servers.token_service import TokenService


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "1").mkdir(parents=True)
    (directory / "1/model.bin").write_bytes(os.urandom(5_000_000))
    (directory / "labels.json").write_text('["DE", "FR"]')
    return directory


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_USERNAME", "REGISTRY_PASSWORD", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def same_files(one: Path, other: Path) -> bool:
    return subprocess.run(["diff", "-r", one, other], check=False).returncode == 0


def round_trip(model: Path, reference: str, access: Access | None = None) -> modelcar.Pushed:
    assert modelcar.resolve(reference, access=access) is None
    pushed = modelcar.push(model, reference, access=access)
    assert modelcar.resolve(reference, access=access) == pushed.digest
    assert modelcar.verify(pushed.reference, access=access).digest == pushed.digest
    back = model.parent / "back"
    modelcar.pull(pushed.reference, back, access=access)
    assert same_files(model, back)
    return pushed


def test_what_is_pushed_to_an_open_registry_comes_back(registry: RegistryServer, model: Path) -> None:
    pushed = round_trip(model, registry.reference("open/round-trip"))
    assert pushed.uploaded_bytes > 5_000_000
    assert not pushed.existed


def test_skopeo_sees_the_same_digest_and_every_platform(registry: RegistryServer, model: Path, tmp_path: Path) -> None:
    reference = registry.reference("open/skopeo")
    pushed = modelcar.push(model, reference, annotations={"title": "jukebox", "model.digest": "sha256:12"})
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}")
    assert modelcar.inspect(reference).digest == pushed.digest
    index = json.loads(raw)
    assert index["annotations"]["org.opencontainers.image.title"] == "jukebox"
    assert [item["platform"]["architecture"] for item in index["manifests"]] == ["amd64", "arm64"]
    config = json.loads(skopeo("inspect", "--config", "--tls-verify=false", f"docker://{reference}"))
    assert config["config"]["Labels"]["io.roadie.model.digest"] == "sha256:12"
    assert config["config"]["Entrypoint"] == ["/bin/link-model-and-wait"]
    copied = tmp_path / "copied"
    skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", f"docker://{reference}", f"oci:{copied}:v1")
    assert modelcar.resolve(f"oci:{copied}:v1") == pushed.digest


def test_umoci_unpacks_the_model_with_modes_that_any_user_can_read(
    registry: RegistryServer, model: Path, tmp_path: Path
) -> None:
    umoci = require("umoci", "apt-get install umoci")
    reference = registry.reference("open/umoci")
    modelcar.push(model, reference)
    skopeo("copy", "--src-tls-verify=false", f"docker://{reference}", f"oci:{tmp_path}/layout:v1")
    bundle = tmp_path / "bundle"
    subprocess.run([umoci, "unpack", "--rootless", "--image", f"{tmp_path}/layout:v1", bundle], check=True)
    assert same_files(model, bundle / "rootfs/models")
    assert {path.stat().st_mode & 0o777 for path in (bundle / "rootfs/models").rglob("*")} == {0o644, 0o755}


def test_the_same_files_pushed_twice_are_one_image_and_nothing_travels(registry: RegistryServer, model: Path) -> None:
    first = modelcar.push(model, registry.reference("open/twice"))
    again = modelcar.push(model, registry.reference("open/twice"), annotations={"run": "another"})
    other_tag = modelcar.push(model, registry.reference("open/twice", "v2"), previous=registry.reference("open/twice"))
    assert (again.digest, again.existed, again.uploaded_bytes) == (first.digest, True, 0)
    assert (other_tag.digest, other_tag.existed) == (first.digest, False)
    assert other_tag.uploaded_bytes < 20_000


def test_a_tag_that_names_another_image_is_moved_only_when_asked(registry: RegistryServer, model: Path) -> None:
    reference = registry.reference("open/immutable")
    first = modelcar.push(model, reference)
    (model / "labels.json").write_text("[]")
    with pytest.raises(ModelCarError, match=r"exists already as .*push under a new tag"):
        modelcar.push(model, reference)
    assert modelcar.resolve(reference) == first.digest
    moved = modelcar.push(model, reference, move_tag=True)
    assert modelcar.resolve(reference) == moved.digest != first.digest
    assert moved.uploaded_bytes < 20_000


def test_the_layout_and_the_registry_hold_the_same_image(registry: RegistryServer, model: Path, tmp_path: Path) -> None:
    on_disk = modelcar.push(model, f"oci:{tmp_path}/layout:v1")
    assert modelcar.push(model, registry.reference("open/same")).digest == on_disk.digest


def test_a_pushed_image_can_be_the_base_of_the_next_and_its_layers_are_mounted(
    registry: RegistryServer, model: Path, tmp_path: Path
) -> None:
    base = modelcar.push(model, registry.reference("open/base"))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter.bin").write_bytes(b"lora")
    pushed = modelcar.push(adapter, registry.reference("open/derived"), base=base.reference)
    assert pushed.uploaded_bytes < 20_000
    annotations = modelcar.inspect(pushed.reference).annotations
    assert annotations["org.opencontainers.image.base.digest"] == base.digest


def test_an_image_for_image_volumes_has_no_base(registry: RegistryServer, model: Path) -> None:
    pushed = modelcar.push(model, registry.reference("open/volume"), base="none")
    image = modelcar.inspect(pushed.reference)
    assert (image.entrypoint, len(image.layers)) == ((), 2)
    assert image.platforms == ("linux/amd64", "linux/arm64")


def test_a_password_is_sent_where_it_is_wanted(registry_htpasswd: RegistryServer, model: Path) -> None:
    access = Access(username=registry_htpasswd.username, password=PASSWORD)
    round_trip(model, registry_htpasswd.reference("basic/explicit"), access)


@pytest.mark.parametrize("variable", ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "HOME"])
def test_the_password_is_found_where_docker_and_podman_put_it(
    registry_htpasswd: RegistryServer, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    directory = tmp_path / "home" / (".docker" if variable == "HOME" else "")
    directory.mkdir(parents=True)
    file = directory / "config.json"
    login = ["login", "--tls-verify=false", f"--authfile={file}", f"--username={registry_htpasswd.username}"]
    skopeo(*login, f"--password={PASSWORD}", registry_htpasswd.host)
    places = {"DOCKER_CONFIG": directory, "REGISTRY_AUTH_FILE": file, "HOME": tmp_path / "home"}
    monkeypatch.setenv(variable, str(places[variable]))
    modelcar.push(model, registry_htpasswd.reference(f"basic/{variable.lower()}"))


def test_no_password_or_a_wrong_one_is_one_sentence_without_it(registry_htpasswd: RegistryServer, model: Path) -> None:
    reference = registry_htpasswd.reference("basic/refused")
    with pytest.raises(RegistryError, match=r"401 UNAUTHORIZED.*an anonymous user.*check the registry credentials"):
        modelcar.push(model, reference)
    with pytest.raises(RegistryError, match="stagehand has not the right, or the password is wrong") as caught:
        modelcar.push(model, reference, access=Access(username="stagehand", password="hush-hush"))
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("methods", [{"GET", "POST"}, {"GET"}, {"POST"}])
def test_a_token_service_is_asked_by_get_or_by_post(
    registry_token: RegistryServer,
    token_service: TokenService,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    methods: set[str],
) -> None:
    token_service.methods = frozenset(methods)
    for name, value in registry_token.environment.items():
        monkeypatch.setenv(name, value)
    round_trip(model, registry_token.reference("token/model"))
    pushes = [scope for _, scope in token_service.asked if scope.endswith("pull,push")]
    assert len(pushes) <= 2, "one token, asked for once, serves the whole push"


def test_an_identity_token_is_traded_for_a_bearer_token(
    registry_token: RegistryServer,
    token_service: TokenService,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token_service.refresh_token = "a-refresh-token"
    entry = {"auths": {registry_token.host: {"identitytoken": token_service.refresh_token}}}
    (tmp_path / "config.json").write_text(json.dumps(entry))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    round_trip(model, registry_token.reference("token/identity"))


def test_a_token_service_that_grants_nothing_is_one_sentence(registry_token: RegistryServer, model: Path) -> None:
    with pytest.raises(
        RegistryError,
        match=r"\(HTTP 401: incorrect username or password\): check the registry",
    ):
        modelcar.push(model, registry_token.reference("token/none"), access=Access(username="x", password="y"))


def test_without_the_right_to_read_the_source_layers_are_sent_instead_of_mounted(
    registry_token: RegistryServer, token_service: TokenService, model: Path, tmp_path: Path
) -> None:
    access = Access(username=registry_token.username, password=PASSWORD)
    base = modelcar.push(model, registry_token.reference("token/base"), access=access)
    layout = tmp_path / "layout"
    modelcar.pull(base.reference, tmp_path / "files", access=access)
    modelcar.push(tmp_path / "files", f"oci:{layout}:v1")
    token_service.denied = frozenset({"token/base"})
    pushed = modelcar.push(model, registry_token.reference("token/derived"), base=f"oci:{layout}:v1", access=access)
    assert pushed.uploaded_bytes > 5_000_000


def test_tls_needs_a_certificate_that_somebody_vouches_for(registry_tls: RegistryServer, model: Path) -> None:
    reference = registry_tls.reference("tls/model")
    round_trip(model, reference, Access(ca_file=registry_tls.ca_file))
    with pytest.raises(RegistryError, match="give its CA file if it wants TLS"):
        modelcar.resolve(reference)
    system_cas = "/etc/ssl/certs/ca-certificates.crt"
    with pytest.raises(RegistryError, match=r"certificate of .* is not trusted"):
        modelcar.resolve(reference, access=Access(ca_file=system_cas))


def test_a_step_is_told_by_variables_how_to_reach_a_registry(
    registry_tls: RegistryServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_CA_FILE", registry_tls.ca_file)
    round_trip(model, registry_tls.reference("tls/environment"))
    monkeypatch.delenv("REGISTRY_CA_FILE")
    monkeypatch.setenv("REGISTRY_PLAIN_HTTP", "true")
    assert Access.from_environment() == Access(plain_http=True)


def test_a_registry_that_is_not_there_is_one_sentence(model: Path) -> None:
    with pytest.raises(RegistryError, match=r"127.0.0.1:9 refuses connections"):
        modelcar.push(model, "127.0.0.1:9/team/model:v1")
