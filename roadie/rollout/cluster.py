"""The Kubernetes API, spoken through the `kubernetes` client's connections, with errors that are Roadie's own.

The client finds the API server and keeps the credentials fresh. Its typed methods are left alone: they know neither
custom resources nor bookmarks, and its watch loses its place.
"""

import contextlib
import json
import os
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from roadie.errors import RolloutError, why_no_yaml
from roadie.rollout.look import Object, told

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_CONNECT, _READ = 5.0, 30.0  # seconds
_PASSING = {0, 408, 429, 500, 502, 503, 504}


class Kind(NamedTuple):
    """A kind of object, as the API's paths and RBAC's rules name it."""

    group: str
    version: str
    plural: str


APPLICATIONS = Kind("argoproj.io", "v1alpha1", "applications")
SERVICES = Kind("serving.kserve.io", "v1beta1", "inferenceservices")
DEPLOYMENTS = Kind("apps", "v1", "deployments")
PODS = Kind("", "v1", "pods")
EVENTS = Kind("", "v1", "events")


class RefusedError(RolloutError):
    """The API server answered with `status`, or not at all (0)."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.passing = status in _PASSING


class Cluster:
    """An API server: that of KUBECONFIG, else of the pod's service account, else of ``~/.kube/config``.

    Raises:
        RolloutError: none of them is there.
    """

    def __init__(self) -> None:
        import yaml
        from kubernetes import client, config

        settings, kubeconfig = client.Configuration(), os.environ.get("KUBECONFIG")
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and not kubeconfig:
                config.load_incluster_config(settings)
            else:
                config.load_kube_config(kubeconfig, client_configuration=settings)
        except (config.ConfigException, yaml.YAMLError, OSError, LookupError, TypeError, AttributeError) as error:
            if kubeconfig:
                reason = error if isinstance(error, config.ConfigException) else why_no_yaml(error)
                there = "cannot be used" if any(map(os.path.exists, kubeconfig.split(os.pathsep))) else "is not there"
                raise RolloutError(
                    f"the file that KUBECONFIG names, {kubeconfig}, {there} ({reason}); name a kubeconfig file"
                ) from error
            raise RolloutError("there is no cluster to ask: run inside one, or set KUBECONFIG") from error
        self._client = client.ApiClient(settings)

    def ask(self, verb: str, kind: Kind, namespace: str, name: str = "", body: Any = None, **query: Any) -> Any:
        """One request, and the response of urllib3: read to its end, but for that to a watch.

        Args:
            verb: As RBAC names it: get, list, watch or create.
            kind: The kind of object.
            namespace: The namespace; empty for what is in none.
            name: An object's name, and a subresource after a slash.
            body: What is created.
            query: The query's parameters.

        Raises:
            RefusedError: the API server refuses, or does not answer within half a minute (beyond `timeoutSeconds`).
        """
        import urllib3
        from kubernetes.config import ConfigException

        host, root = self._client.configuration.host, f"/apis/{kind.group}" if kind.group else "/api"
        within = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
        path = f"{root}/{kind.version}/{within}{kind.plural}/{name}".rstrip("/")
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"])
            response = self._client.rest_client.pool_manager.request(
                "POST" if body else "GET",
                f"{host}{path}?{urlencode(query)}",
                headers=headers,
                body=json.dumps(body) if body else None,
                timeout=urllib3.Timeout(connect=_CONNECT, read=query.get("timeoutSeconds", 0) + _READ),
                retries=False,
                preload_content=verb != "watch",
            )
            if response.status < HTTPStatus.BAD_REQUEST:
                return response
            answer = response.data.decode(errors="replace")
        except (urllib3.exceptions.HTTPError, OSError, ConfigException) as error:
            raise RefusedError(f"the cluster at {host} does not answer ({type(error).__name__})") from error
        resource = ".".join(filter(None, (kind.plural + name[name.find("/") :] * ("/" in name), kind.group)))
        what = f"{verb} {resource}" + f" in {namespace}" * bool(namespace)
        raise RefusedError(_refusal(response.status, answer, what), response.status)

    def list(self, kind: Kind, namespace: str, **selector: str) -> tuple[dict[str, Object], str]:
        """The objects that a ``fieldSelector`` or ``labelSelector`` finds, by name, and their resourceVersion."""
        try:
            found = json.loads(self.ask("list", kind, namespace, **selector).data)
            return {each["metadata"]["name"]: each for each in found["items"]}, found["metadata"]["resourceVersion"]
        except (ValueError, LookupError, TypeError) as error:
            raise RefusedError(f"the cluster answered the list of {kind.plural} with something else") from error

    def create(self, kind: Kind, body: Object) -> Object:
        """Create an object that is in no namespace, and what became of it: a question and its answer."""
        body = {"apiVersion": f"{kind.group}/{kind.version}", **body}
        try:
            return dict(json.loads(self.ask("create", kind, "", body=body).data))
        except (ValueError, TypeError) as error:
            raise RefusedError(f"the cluster answered the creation of {kind.plural} with something else") from error


def _refusal(status: int, answer: str, what: str) -> str:
    with contextlib.suppress(ValueError, LookupError, TypeError):  # a proxy may have answered
        answer = str(json.loads(answer)["message"])
    if status == HTTPStatus.FORBIDDEN:
        who = re.search(r'User "([^"]+)"', answer)
        answer = f"grant that to {who[1] if who else 'the service account'}"
    elif status == HTTPStatus.UNAUTHORIZED:
        answer = "renew the credentials"
    return told(f"the cluster answered {status} to {what}", answer)


def named(name: str) -> dict[str, str]:
    """The selector of the one object of that name; a Role's ``resourceNames`` allow it."""
    return {"fieldSelector": f"metadata.name={name}"}


def own_namespace() -> str:
    """The namespace of the pod that this runs in; ``default`` outside of one."""
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"
