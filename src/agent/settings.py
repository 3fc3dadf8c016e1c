"""The one place that reads settings: default < user file < trusted project file < `AGENT_*` < flag.

The configuration of a codebase belongs to whoever wrote the codebase: see `agent.trust`.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from agent import trust, userfile
from agent.configfile import ConfigFile
from agent.exits import UsageError
from agent.mcp_servers import Server, combined, servers
from agent.rules import KINDS, Rules, of_file

MODES = ("read-only", "ask", "accept-edits", "yolo")
FORMATS = ("text", "json", "stream-json")
# Ends of a turn in common chat templates; a server that knows its own ignores the others.
STOPS = ("<|im_end|>", "<|end|>", "<|eot_id|>", "<end_of_turn>")
# user:password in a URL.
_PASSWORD = re.compile(r"^(\w+://)[^/@]*@")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _whole(value: object) -> int:
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError("must be a whole number of at least 1")
    return number


def _count(value: object) -> int:
    return 0 if value in (0, "0") and not isinstance(value, bool) else _whole(value)


def _number(value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise ValueError("must be a number of at least 0")
    return number


def _duration(value: object) -> float:
    if isinstance(value, str) and value[-1:] in _SECONDS and value[:-1]:
        return _number(value[:-1]) * _SECONDS[value[-1]]
    return _number(value)


def _timeout(value: object) -> float:
    seconds = _duration(value)
    if seconds == 0:
        raise ValueError("must be longer than 0 seconds")
    return seconds


def _texts(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("must be a list of texts")
    return tuple(item.strip() for item in items if item.strip())


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return str(value)

    return parse


def _setting(default: Any, parse: Callable[[object], object], meaning: str, **how: Any) -> Any:
    return field(default=default, **how, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; `origins` says where the others came from."""

    model: str | None = _setting(None, _text, "model name or reference; none: the embedded model")
    base_url: str | None = _setting(None, _text, "an OpenAI-compatible endpoint")
    adapter: str | None = _setting(None, _text, "a LoRA adapter for --model")
    api_key: str | None = _setting(None, _text, "key for --base-url", repr=False)
    output_format: str = _setting("text", _one_of(*FORMATS), "how `agent ask` prints")
    max_turns: int = _setting(20, _whole, "model turns before a run is stopped")
    allowed_tools: tuple[str, ...] | None = _setting(None, _texts, "tools offered; none: all")
    permission_mode: str = _setting("ask", _one_of(*MODES), "what may be written")
    system_prompt: str | None = _setting(None, _text, "replaces the built-in system prompt")
    append_system_prompt: str | None = _setting(None, _text, "added to the system prompt")
    keep_alive: float = _setting(300.0, _duration, "seconds a background model outlives its use")
    timeout: float = _setting(300.0, _timeout, "seconds without a byte from the endpoint")
    connect_timeout: float = _setting(5.0, _timeout, "seconds to reach the endpoint")
    retries: int = _setting(3, _count, "new attempts after 429, 502, 503, 504 or no connection")
    max_tokens: int = _setting(2048, _whole, "longest answer in tokens")
    temperature: float = _setting(0.0, _number, "sampling temperature")
    stop: tuple[str, ...] = _setting(STOPS, _texts, "texts that end a turn, at most 4")
    context_window: int | None = _setting(None, _whole, "tokens the model can read")
    extra_tools: tuple[str, ...] = _setting((), _texts, "tools of installed packages to offer")
    mcp: tuple[Server, ...] = _setting((), servers, "MCP servers, as tables [mcp.servers.NAME]")
    rules: Rules = field(default_factory=Rules)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


_FIELDS = {f.name: f for f in fields(Settings) if "parse" in f.metadata}


def meanings() -> dict[str, str]:
    """One line for every setting."""
    return {name: f.metadata["meaning"] for name, f in _FIELDS.items()}


def user_file() -> Path:
    """Where the user's own settings are."""
    return userfile.folder() / "config.toml"


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    root: Path | None = None,
) -> Settings:
    """Merge all sources; `flags` holds only what was given on the command line.

    `root` is the codebase. Its own file counts only if the user trusts it; where it does not, a
    line on standard error says so.

    Raises:
        UsageError: a source has an unknown key or a wrong value; the message names both, and the
            line in a file.
    """
    path = user_file()
    settings = _with_file(Settings(), ConfigFile(_read(path), str(path)), root)
    if root is not None and os.path.lexists(root / trust.FILE):
        theirs = trust.honoured(root)
        if theirs is not None:
            settings = with_project(settings, theirs)
        elif line := trust.notice(root):
            print(f"agent: {line}", file=sys.stderr)
    variables = {name: f"AGENT_{name.upper()}" for name in _FIELDS}
    given = {name: environ[spelt] for name, spelt in variables.items() if environ.get(spelt)}
    settings = _merge(settings, given, variables, _complaint("the environment"))
    options = {name: "--" + name.replace("_", "-") for name in _FIELDS}
    settings = _merge(settings, flags, options, _complaint("the command line"))
    # Whoever chose the endpoint of a codebase shall not get the user's key.
    if settings.api_key is not None and settings.origins.get("base_url") == trust.FILE:
        withheld = {"api_key": f"not sent to the base_url of {trust.FILE}"}
        settings = replace(settings, api_key=None, origins={**settings.origins, **withheld})
    return settings


def with_project(settings: Settings, text: str) -> Settings:
    """The settings with a codebase's own file, which the user trusts or is about to, on top.

    Raises:
        UsageError: the file is wrong, or asks for what no codebase may decide.
    """
    file = ConfigFile(text, trust.FILE)
    for key, value in file.values.items():
        name = key.replace("-", "_")
        if name == "api_key" or (name == "permission_mode" and value == "yolo"):
            what = "api_key" if name == "api_key" else "permission_mode yolo"
            raise file.wrong((key,), f"{what} is never taken from a codebase; remove it.")
    return _with_file(settings, file)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None


def _with_file(settings: Settings, file: ConfigFile, root: Path | None = None) -> Settings:
    values = {key: value for key, value in file.values.items() if key != "permissions"}
    names = {name: name for name in _FIELDS}
    settings = _merge(settings, values, names, file.wrong, file.source)
    rules = of_file(file, root)
    origins = dict(settings.origins)
    for kind in KINDS:
        if getattr(rules, kind):
            name = f"permissions.{kind}"
            origins[name] = " and ".join(filter(None, (origins.get(name), file.source)))
    return replace(settings, rules=settings.rules + rules, origins=origins)


Complaint = Callable[[Sequence[str], str], UsageError]


def _complaint(source: str) -> Complaint:
    return lambda keys, what: UsageError(f"{source}: {what}")


def _merge(
    settings: Settings,
    values: Mapping[str, object],
    spelling: Mapping[str, str],
    wrong: Complaint,
    source: str | None = None,
) -> Settings:
    """`source` is the origin of every value, where it is not each one's own spelling."""
    parsed: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in _FIELDS:
            known = ", ".join(sorted([*_FIELDS, "permissions"]))
            raise wrong((key,), f"unknown setting {key!r}; known settings are {known}.")
        try:
            parsed[name] = _FIELDS[name].metadata["parse"](value)
        except ValueError as error:
            # A table or a key may hold secrets.
            secret = name == "api_key" or isinstance(value, dict)
            given = "" if secret else f", not {value!r}"
            raise wrong((key,), f"{spelling[name]} {error}{given}.") from None
    if "mcp" in parsed:
        parsed["mcp"] = combined(settings.mcp, parsed["mcp"])
    origins = {name: source or spelling[name] for name in parsed}
    return replace(settings, **parsed, origins={**settings.origins, **origins})


class Row(NamedTuple):
    """A setting as `agent config` shows it; `value` is fit to be shown and to be JSON."""

    name: str
    value: Any
    origin: str
    meaning: str


def explain(settings: Settings) -> list[Row]:
    """Every setting, its value (no key in full), where it came from and what it means."""
    rows = [
        Row(name, _shown(name, getattr(settings, name)), settings.origins.get(name, "default"),
            f.metadata["meaning"])
        for name, f in _FIELDS.items()
    ]  # fmt: skip
    for kind, meaning in (
        ("allow", "calls that need no question, such as edit_file(src/**)"),
        ("ask", "calls to be asked for in every mode; beats allow"),
        ("deny", "calls that are never made; beats ask and allow"),
    ):
        name = f"permissions.{kind}"
        origin = settings.origins.get(name, "default")
        rows.append(Row(name, list(getattr(settings.rules, kind)), origin, meaning))
    return rows


def _shown(name: str, value: Any) -> Any:
    if name == "api_key" and value is not None:
        return f"...{value[-4:]}" if len(value) >= 16 else "..."
    if name == "base_url" and value is not None:
        return _PASSWORD.sub(r"\1...@", value)
    if isinstance(value, tuple):
        return [one if isinstance(one, str) else str(one) for one in value]
    return value
