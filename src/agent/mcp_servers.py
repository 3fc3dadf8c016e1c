"""Which MCP servers the user wants: none, until the configuration names one.

    [mcp.servers.docs]
    command = ["docs-server", "--stdio"]     # or url = "https://example.com/mcp"
    env = { DOCS_TOKEN = "..." }             # or headers = { ... } with url
    tools = ["search"]                       # optional: only these

A tool `search` of the server `docs` is called `docs_search`. What a server says of its own tools
(harmless, read-only) is not believed: each is asked for unless the user's own rules allow it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_NAME = re.compile(r"[A-Za-z0-9-]{1,32}")
_KEYS = ("command", "url", "env", "headers", "tools")


@dataclass(frozen=True)
class Server:
    """How one MCP server is reached: a command spoken to over its standard streams, or a URL."""

    name: str
    command: tuple[str, ...] = ()
    url: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tools: tuple[str, ...] | None = None


def servers(value: object) -> tuple[Server, ...]:
    """The servers of the table `[mcp]` of a configuration file.

    Raises:
        ValueError: the table is wrong; says which key, without quoting what may be secret.
    """
    if not isinstance(value, Mapping) or set(value) - {"servers"}:
        raise ValueError("has only tables [mcp.servers.NAME]")
    tables = value.get("servers", {})
    if not isinstance(tables, Mapping):
        raise ValueError("has only tables [mcp.servers.NAME]")
    return tuple(_server(str(name), table) for name, table in tables.items())


def combined(first: Sequence[Server], more: Sequence[Server]) -> tuple[Server, ...]:
    """All of them; where two have one name, the first: what the user set up stays what it is."""
    return tuple({server.name: server for server in (*more, *first)}.values())


def _server(name: str, table: object) -> Server:
    where = f"[servers.{name}]"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where} may be named with letters, digits and '-' only")
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table")
    unknown = [key for key in table if key not in _KEYS]
    if unknown:
        raise ValueError(f"{where} {unknown[0]} is no key; the keys are {', '.join(_KEYS)}")
    command, url = _texts(table, "command", where), table.get("url")
    if bool(command) == bool(url):
        raise ValueError(f"{where} needs either command or url")
    if url and (not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https")):
        raise ValueError(f"{where} url must begin with http:// or https://")
    if (table.get("env") and url) or (table.get("headers") and command):
        raise ValueError(f"{where}: env goes with command, headers go with url")
    return Server(
        name,
        command or (),
        url,
        _pairs(table, "env", where),
        _pairs(table, "headers", where),
        _texts(table, "tools", where),
    )


def _texts(table: Mapping[str, object], key: str, where: str) -> tuple[str, ...] | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
        raise ValueError(f"{where} {key} must be a list of texts")
    return tuple(value)


def _pairs(table: Mapping[str, object], key: str, where: str) -> dict[str, str]:
    value = table.get(key, {})
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError(f"{where} {key} must be a table of texts")
    return dict(value)
