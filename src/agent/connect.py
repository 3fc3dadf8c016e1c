"""Which endpoint answers: the one named, the embedded model, or a model in the background."""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.exits import AgentError, UsageError
from agent.settings import Settings

_METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata", "instance-data"})
# Where clouds keep them besides the link-local addresses.
_METADATA_ADDRESSES = frozenset({"fd00:ec2::254", "100.100.100.200"})


@dataclass(frozen=True)
class Endpoint:
    """Where requests go. `embedded` says that the little model of this package answers."""

    base_url: str
    model: str
    api_key: str
    embedded: bool = False
    close: Callable[[], None] = lambda: None


def connect(settings: Settings) -> Endpoint:
    """The endpoint that the settings ask for; starts one where none is named.

    Raises:
        AgentError: no model answers there.
        UsageError: the settings contradict each other or name something unusable.
    """
    if settings.base_url is not None:
        if settings.adapter is not None:
            raise UsageError("--adapter needs a model that we load; leave out --base-url.")
        return _remote(settings, normalised(settings.base_url))
    if settings.model is None and settings.adapter is not None:
        raise UsageError("--adapter needs --model, the model that it was trained for.")
    from agent.serving.weights import LoadError

    try:
        if settings.model is None or settings.keep_alive == 0:
            return _in_process(settings)
        return _background(settings)
    except LoadError as error:
        raise AgentError(str(error), "unavailable") from error


def normalised(url: str) -> str:
    """The base URL with its scheme checked and `/v1` added where no path is given.

    Raises:
        UsageError: it is no http(s) URL, or names a cloud's metadata service.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts.scheme not in ("http", "https") or not host or not _is_visible(url):
        raise UsageError(f"--base-url {url!r} is not a URL such as http://127.0.0.1:8080/v1.")
    if host.rstrip(".").lower() in _METADATA_HOSTS or _is_metadata_address(host):
        raise UsageError(f"--base-url {url!r} names a cloud metadata service, not a model.")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _is_visible(url: str) -> bool:
    return url.isprintable() and " " not in url


def _is_metadata_address(host: str) -> bool:
    try:
        # As resolvers read it: also 0xA9FEA9FE, 2852039166 and other spellings of one address.
        address = ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
    except (ValueError, OSError):
        return False
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_link_local or str(address) in _METADATA_ADDRESSES


def _remote(settings: Settings, base_url: str) -> Endpoint:
    key = settings.api_key or "none"
    model = settings.model or _only_model(base_url, key, settings.connect_timeout)
    return Endpoint(base_url, model, key)


def _only_model(base_url: str, key: str, timeout: float) -> str:
    import httpx2

    try:
        answer = httpx2.get(
            f"{base_url}/models",
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout,
            trust_env=False,
        )
        answer.raise_for_status()
        names = [str(entry["id"]) for entry in answer.json()["data"]]
    except httpx2.HTTPStatusError as error:
        code = error.response.status_code
        raise AgentError(
            f"{base_url}/models answers {code}; name the model with --model.", "unavailable"
        ) from error
    except httpx2.HTTPError as error:
        raise AgentError(f"No endpoint answers at {base_url} ({error}).", "unavailable") from error
    except (ValueError, KeyError, TypeError) as error:
        raise AgentError(
            f"{base_url}/models is not a list of models; name the model with --model, "
            "or check the URL.",
            "unavailable",
        ) from error
    if len(names) == 1:
        return names[0]
    if not names:
        raise AgentError(f"{base_url} serves no model.", "unavailable")
    shown = ", ".join(names[:20])
    raise UsageError(f"{base_url} serves several models; choose one with --model: {shown}.")


def _in_process(settings: Settings) -> Endpoint:
    from agent.serving import local

    started = local.start(settings.model or "embedded", settings.adapter)
    return Endpoint(
        started.base_url, started.model, started.token, settings.model is None, started.close
    )


def _background(settings: Settings) -> Endpoint:
    from agent.serving import background

    assert settings.model is not None
    found = background.find_or_start(settings.model, settings.adapter, settings.keep_alive)
    return Endpoint(found.base_url, found.model, found.token)
