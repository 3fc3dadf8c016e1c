"""The one place that reads settings: default < user file < `AGENT_*` environment < flag.

The configuration of a repository is not read: it belongs to whoever wrote the repository.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from agent.exits import UsageError
from agent.mcp_servers import Server, servers

MODES = ("read-only", "ask", "accept-edits", "yolo")
FORMATS = ("text", "json", "stream-json")
# Ends of a turn in common chat templates; a server that knows its own ignores the others.
STOPS = ("<|im_end|>", "<|end|>", "<|eot_id|>", "<end_of_turn>")
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


def _setting(default: Any, parse: Callable[[object], object], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """Every setting with its default; `origins` says where the others came from."""

    model: str | None = _setting(None, _text, "model name or reference; none: the embedded model")
    base_url: str | None = _setting(None, _text, "an OpenAI-compatible endpoint")
    adapter: str | None = _setting(None, _text, "a LoRA adapter for --model")
    api_key: str | None = _setting(None, _text, "key for --base-url")
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
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


_FIELDS = {f.name: f for f in fields(Settings) if "parse" in f.metadata}


def meanings() -> dict[str, str]:
    """One line for every setting."""
    return {name: f.metadata["meaning"] for name, f in _FIELDS.items()}


def user_file() -> Path:
    """Where the user's own settings are."""
    from platformdirs import user_config_path

    return user_config_path("agent", appauthor=False) / "config.toml"


def load(flags: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> Settings:
    """Merge all sources; `flags` holds only what was given on the command line.

    Raises:
        UsageError: a source has an unknown key or a wrong value; the message names both.
    """
    path = user_file()
    settings = _merge(Settings(), _read(path), str(path), lambda name: name)
    variables = {
        name: environ[f"AGENT_{name.upper()}"]
        for name in _FIELDS
        if environ.get(f"AGENT_{name.upper()}")
    }
    settings = _merge(settings, variables, "the environment", lambda name: f"AGENT_{name.upper()}")
    return _merge(settings, flags, "the command line", lambda name: "--" + name.replace("_", "-"))


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None


def _merge(
    settings: Settings, values: Mapping[str, object], source: str, spelling: Callable[[str], str]
) -> Settings:
    parsed: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in _FIELDS:
            known = ", ".join(sorted(_FIELDS))
            raise UsageError(f"{source}: unknown setting {key!r}; known settings are {known}.")
        try:
            parsed[name] = _FIELDS[name].metadata["parse"](value)
        except ValueError as error:
            # A table may hold keys of other services.
            given = "" if isinstance(value, Mapping) else f", not {value!r}"
            raise UsageError(f"{source}: {spelling(name)} {error}{given}.") from None
    origins = {**settings.origins, **dict.fromkeys(parsed, source)}
    return replace(settings, **parsed, origins=origins)
