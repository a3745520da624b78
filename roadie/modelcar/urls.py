"""URLs as registries use them."""

from urllib.parse import SplitResult, urlsplit

from roadie.errors import RegistryError


def split(url: str) -> SplitResult:
    """The parts of a URL, which may come from a registry; RegistryError when it is none."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise RegistryError(f"The registry names {url[:80]!r}, which is no address: is it one at all?") from error


def absolute(base: str, location: str) -> str:
    """A Location, which may be relative, as a URL.

    A registry behind a proxy that ends TLS may name itself by http; that is taken as the https it is reached by.
    """
    if not location:
        raise RegistryError(f"{host_of(base)} sent no Location: it does not speak the OCI distribution protocol.")
    here, parts = split(base), split(location)
    if not parts.netloc:
        return here._replace(path=parts.path, query=parts.query).geturl()
    scheme = here.scheme if parts.netloc == here.netloc else parts.scheme or here.scheme
    return parts._replace(scheme=scheme).geturl()


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs lead to the same server, so that credentials for one may go to the other."""
    first, second = split(one), split(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)


def host_of(url: str) -> str:
    """The host, and nothing of the query, which may carry a registry's session state."""
    return split(url).netloc.rpartition("@")[2]
