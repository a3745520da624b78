"""The wire to Kubeflow Pipelines: every call has time-outs, every failure is one sentence, and no token is in any.

Under it is kfp_server_api, which is generated from the service's OpenAPI document. kfp.Client is not used, for it asks
for /healthz in its constructor (25 s when the token is bad) and waits for ever for an answer.
"""

import html
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import stamina

from roadie.errors import RunError, UsageError

TOKEN_PATH = Path(
    "/var/run/secrets/kubeflow/pipelines/token"
)  # where Kubeflow projects a pod's token for its pipelines
TIMEOUTS = (5.0, 30.0)  # seconds to connect, and between two pieces of the answer
ATTEMPTS = 4
PASSING = frozenset({429, 502, 503, 504})  # statuses that may be gone in a moment
REFUSALS = frozenset({400, 413, 422})  # statuses of a request that will never be taken
NOT_FOUND, INTERNAL = 5, 13  # of google.rpc.Code
# What the service says, with the code of an error of its own, of a request that it will never take.
_NEVER = ("InvalidInputError", "Invalid input error", "invalid pipeline spec", "cannot find component", "compile job")
NO_SUCH_PATH = "Not Found"  # what grpc-gateway says of a path that it does not know

# Where nobody set up logging, a retry is not worth a line on standard error.
logging.getLogger("stamina").addHandler(logging.NullHandler())

_CHAIN = re.compile(r"\w*[Ee]rror: ")  # between what was tried and why it failed, several times over
_ORPHANED = re.compile(r'workflows\.argoproj\.io "[^"]*" not found')
_TOKEN = re.compile(r"[\x21-\x7e]+")
_REMEDIES = {
    401: "give it a token that is valid now",
    403: "grant the service account the right to do so in the namespace",
    404: "check the endpoint, often it ends in /pipeline",
}

Token = Callable[[], str]


class ServiceError(RunError):
    """Kubeflow Pipelines refused or could not be asked.

    Attributes:
        status: The HTTP status; 0 without an answer, and then what was asked for may have been done.
        unknown: Whether the service itself says that it does not know the thing; any other 404 says nothing of it.
        passing: Whether the same request may well succeed in a moment.
        refused: Whether the same request will never be taken.
        orphaned: Whether the run's Workflow is gone from the cluster, so that nothing will ever move the run again.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        unknown: bool = False,
        passing: bool = False,
        refused: bool = False,
        orphaned: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.unknown = unknown
        self.passing = passing
        self.refused = refused
        self.orphaned = orphaned


def token_in(path: Path) -> Token:
    """The token in a file, read anew at each request, because the kubelet replaces it."""

    def read() -> str:
        try:
            return path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
            raise RunError(f"the token for Kubeflow Pipelines cannot be read from {path}: {why}; mount it") from None

    return read


def own_token() -> str:
    """The pod's own token, of KF_PIPELINES_SA_TOKEN_PATH or Kubeflow's default path; empty where there is none."""
    named = os.environ.get("KF_PIPELINES_SA_TOKEN_PATH")
    if named:
        return token_in(Path(named))()
    return token_in(TOKEN_PATH)() if TOKEN_PATH.exists() else ""


def endpoint_of(endpoint: str) -> str:
    """The service's address, normalised: `endpoint`, or KF_PIPELINES_ENDPOINT; https where no scheme is given.

    Raises:
        UsageError: there is none, or it cannot be used.
    """
    given = (endpoint or os.environ.get("KF_PIPELINES_ENDPOINT", "")).strip()
    if not given:
        raise UsageError("there is no Kubeflow Pipelines to ask: set KF_PIPELINES_ENDPOINT or give --endpoint")
    address = given if "://" in given else f"https://{given}"
    try:
        parts = urlsplit(address)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise UsageError("the endpoint of Kubeflow Pipelines is not of the form https://host[:port][/path]: correct it")
    if "@" in parts.netloc:
        raise UsageError(f"the endpoint at {parts.hostname} has credentials in its address: put them in a token file")
    return address.rstrip("/")


def _checked(ca_file: Path) -> Path:
    import ssl

    try:
        ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise UsageError(f"the CA file {ca_file} holds no certificate that can be used: give a PEM file") from error
    except OSError as error:
        raise UsageError(f"the CA file {ca_file} cannot be read: {error.strerror}; check its path") from error
    return ca_file


class Connection:
    """A Kubeflow Pipelines service, and how to call it."""

    def __init__(
        self,
        endpoint: str = "",
        *,
        token: Token | None = None,
        ca_file: Path | None = None,
        timeouts: tuple[float, float] = TIMEOUTS,
    ) -> None:
        """Describe the connection; nothing is sent yet.

        Raises:
            UsageError: the endpoint or the CA file cannot be used.
        """
        import kfp_server_api as kfp  # type: ignore[import-untyped]

        self.endpoint = endpoint_of(endpoint)
        self._timeouts = timeouts
        self._token = token or own_token
        configuration = kfp.Configuration(host=self.endpoint)
        configuration.retries = False
        if ca_file:
            configuration.ssl_ca_cert = str(_checked(ca_file))
        client = kfp.ApiClient(configuration)
        self._client = client
        self.models: Any = kfp
        self.runs: Any = kfp.RunServiceApi(client)
        self.recurring_runs: Any = kfp.RecurringRunServiceApi(client)
        self.experiments: Any = kfp.ExperimentServiceApi(client)

    def ask(self, what: str, call: Callable[..., Any], **arguments: Any) -> Any:
        """Call something that changes nothing, or nothing more the second time; tried again when that may help."""
        for attempt in stamina.retry_context(
            on=lambda error: isinstance(error, ServiceError) and error.passing,
            attempts=ATTEMPTS,
            wait_initial=0.2,
            wait_max=2.0,
            wait_jitter=0.2,
        ):
            with attempt:
                answer = self._call(what, call, arguments, again=True)
        return answer

    def tell(self, what: str, call: Callable[..., Any], **arguments: Any) -> Any:
        """Call something that must not happen twice: once.

        Args:
            what: What is being done, for errors, such as "creating the run x".
            call: A method ``..._with_http_info`` of one of the APIs.
            **arguments: Its arguments.

        Raises:
            ServiceError: the service refused, or did not answer.
        """
        return self._call(what, call, arguments, again=False)

    def log(self, run_id: str, pod: str) -> str:
        """What a pod of a run wrote, as the service itself reads it; empty when it has none.

        The address is not in the service's OpenAPI document. It gives text, and 200 before it knows whether it can.
        """
        path = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"

        def read(**options: Any) -> tuple[Any, int, Mapping[str, str]]:
            names = {"run_id": run_id, "node_id": pod}
            answer, status, _ = self._client.call_api(path, "GET", names, response_type="object", **options)
            return answer, status, {"Content-Type": "application/json"}

        text = self._call(f"reading the log of {pod}", read, {}, again=True)
        return text if isinstance(text, str) else ""

    def _call(self, what: str, call: Callable[..., Any], arguments: Mapping[str, Any], *, again: bool) -> Any:
        from kfp_server_api import ApiException
        from urllib3.exceptions import HTTPError

        token = self._header()
        try:
            answer, _, headers = call(_request_timeout=self._timeouts, **arguments)
        except ApiException as error:
            raise self._refusal(what, error.status, error.body or "", token) from None
        except HTTPError as error:
            raise self._silence(what, error, again) from None
        except (AttributeError, ValueError, TypeError) as error:
            # What the generated client makes of a failed handshake and of answers that are no JSON of the service.
            raise self._nonsense(what, error) from None
        if not headers.get("Content-Type", "").startswith("application/json"):
            raise self._nonsense(what, None)
        return answer

    def _header(self) -> str:
        """Put the token of now into the client's headers, and return it."""
        token = self._token()
        if token and not _TOKEN.fullmatch(token):
            raise RunError("the token for Kubeflow Pipelines has characters that no token has: write it anew")
        if token:
            self._client.set_default_header("Authorization", f"Bearer {token}")
        else:
            self._client.default_headers.pop("Authorization", None)
        return token

    def _refusal(self, what: str, status: int, body: str, token: str) -> ServiceError:
        said = _said(body)
        whole = str(said.get("message") or said.get("error") or "") if said else _page(body)
        message = _CHAIN.split(whole.partition("\n")[0])[-1][:300].rstrip(". ")
        if token:
            message = message.replace(token, "***")
        refused = status in REFUSALS or (said.get("code") == INTERNAL and any(each in whole for each in _NEVER))
        remedy = _REMEDIES.get(status, "look into its logs and try again")
        if status == HTTPStatus.FORBIDDEN and whole and not said:
            remedy = "that is not its own answer, so ask who runs the proxy or mesh before it"
        if status in range(300, 400):
            remedy = "a login page seems to stand before it, so give a token that it takes"
        if refused:
            remedy = "correct the request"
        if status in PASSING:
            remedy = "try again in a while"
        return ServiceError(
            f"Kubeflow Pipelines at {self.endpoint} answered {status} while {what}"
            f"{': ' + message if message else ''}; {remedy}",
            status=status,
            unknown=said.get("code") == NOT_FOUND and whole != NO_SUCH_PATH,
            passing=status in PASSING,
            refused=refused,
            orphaned=said.get("code") == INTERNAL and bool(_ORPHANED.search(whole)),
        )

    def _silence(self, what: str, error: Exception, again: bool) -> ServiceError:
        from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

        at = f"Kubeflow Pipelines at {self.endpoint}"
        match error:
            case NewConnectionError():
                why = getattr(error.__context__, "strerror", None) or "no connection"
                return ServiceError(f"{at} cannot be reached ({why}): check the endpoint and network", passing=True)
            case ConnectTimeoutError():
                return ServiceError(f"{at} took no connection within {self._timeouts[0]:g} s: check the network")
            case ReadTimeoutError():
                how, passing = f"gave no answer within {self._timeouts[1]:g} s", False
            case _:
                how, passing = "hung up", True
        remedy = "try again" if again else "whether it was done is unknown, so look before you try again"
        return ServiceError(f"{at} {how} while {what}: {remedy}", passing=passing)

    def _nonsense(self, what: str, error: Exception | None) -> ServiceError:
        import ssl

        from urllib3.exceptions import SSLError

        cause: BaseException | None = error
        while cause:
            if isinstance(cause, SSLError | ssl.SSLError):
                return ServiceError(
                    f"the certificate of Kubeflow Pipelines at {self.endpoint} cannot be trusted: give its CA file"
                )
            cause = cause.__context__
        return ServiceError(
            f"what answered at {self.endpoint} while {what} is not the API of Kubeflow Pipelines: check the endpoint, "
            "often it ends in /pipeline, and that a token is given"
        )


def _page(body: str) -> str:
    """The words of what is no JSON: a proxy's or a mesh's, of a page its title."""
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", title[1] if title else body)).split())


def _said(body: str) -> Mapping[str, Any]:
    """The service's error; empty when the answer is not its own."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
