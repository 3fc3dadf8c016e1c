"""What is measured: one or several configurations of a model, from flags or from `bench.toml`."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from agent.configfile import ConfigFile
from agent.exits import UsageError
from agent.settings import Settings

# Seconds of silence: on a busy machine slowness must not count as a wrong answer.
_PATIENCE = 3600.0
_KEY = "AGENT_API_KEY"
Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


class _Entry(BaseModel):
    """A table [[configuration]] of a file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text
    model: Text | None = None
    adapter: Text | None = None
    base_url: Text | None = None
    api_key_env: Text | None = None
    weights: Text | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_turns: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    context_window: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class Configuration:
    """A model as it is measured.

    `model`: a folder, a Hub id, "embedded", or a name at `base_url`. `weights`: the hash that the
    endpoint must report. `api_key_env`: the variable that holds the key for `base_url`.
    """

    name: str
    model: str | None = None
    adapter: str | None = None
    base_url: str | None = None
    api_key_env: str = _KEY
    weights: str | None = None
    max_tokens: int | None = None
    max_turns: int | None = None
    temperature: float | None = None
    context_window: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether we serve it ourselves."""
        return self.base_url is None

    @property
    def is_embedded(self) -> bool:
        """Whether it is the model of this package, as it ships."""
        return self.is_ours and self.model in (None, "embedded") and self.adapter is None

    def content(self) -> str:
        """A hash of all that decides what is measured: a change of a model's files is one."""
        from agent.serving import weights

        fields = asdict(self)
        if self.is_ours:
            fields["files"] = weights.signature(self.model or weights.EMBEDDED, self.adapter)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def anywhere(self) -> "Configuration":
        """The same, with folders that are found from any directory."""
        if not self.is_ours:
            return self
        model, adapter = _from_anywhere(self.model), _from_anywhere(self.adapter)
        return replace(self, model=model, adapter=adapter)

    def settings(self) -> Settings:
        """The product's defaults, whatever the user's own settings are, so that runs compare."""
        own = ("max_tokens", "max_turns", "temperature", "context_window")
        given = {name: value for name in own if (value := getattr(self, name)) is not None}
        return replace(
            Settings(),
            model=None if self.is_embedded else self.model,
            base_url=self.base_url,
            adapter=self.adapter,
            api_key=os.environ.get(self.api_key_env) or None,
            permission_mode="accept-edits",
            keep_alive=0.0,
            timeout=_PATIENCE,
            **given,
        )


def from_file(path: Path) -> list[Configuration]:
    """The configurations of a file; folders in it are relative to the file's own.

    Raises:
        UsageError: the file cannot be read, or something in it is wrong; the message names the
            file, the configuration and the key.
    """
    try:
        file = ConfigFile(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"--config: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"--config: {path} is not UTF-8.") from None
    for key in file.values:
        if key != "configuration":
            raise file.wrong((key,), f"unknown key {key!r}; a file has [[configuration]] tables.")
    tables = file.values.get("configuration")
    if not isinstance(tables, list) or not tables:
        raise UsageError(f"{path}: there is no [[configuration]] table; add one for each model.")
    found = [_configuration(table, n, path) for n, table in enumerate(tables, 1)]
    _check_names(found, str(path))
    return found


def _configuration(table: object, number: int, path: Path) -> Configuration:
    where = f"{path}, configuration {number}"
    if isinstance(table, Mapping) and isinstance(table.get("name"), str):
        where = f"{path}, configuration {table['name']!r}"
    try:
        entry = _Entry.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first(error)}.") from None
    given = entry.model_dump(exclude_none=True)
    if entry.base_url is None:
        for key in ("model", "adapter"):
            if key in given:
                given[key] = _beside(given[key], path.parent)
    configuration = Configuration(**given)
    _check(configuration, where)
    return configuration


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}; the keys are {', '.join(_Entry.model_fields)}"
    if problem["type"] == "missing":
        return f"{key!r} is missing"
    return f"{key}: {problem['msg']}" if key else problem["msg"]


def _beside(ref: str, folder: Path) -> str:
    """A folder as it is found from the file; anything else as it stands."""
    path = folder / Path(ref).expanduser()
    return str(path) if path.is_dir() or ref.startswith((".", "/", "~")) else ref


def _from_anywhere(ref: str | None) -> str | None:
    path = Path(ref or "").expanduser()
    return str(path.resolve()) if ref and ref != "embedded" and path.is_dir() else ref


def from_flags(
    models: Sequence[str | None], base_url: str | None, adapter: str | None
) -> list[Configuration]:
    """A configuration for each model, named like it; None: the one at `base_url`, or the embedded.

    Raises:
        UsageError: a model is named twice or cannot be one, or the flags contradict each other.
        AgentError: the only model at `base_url` is wanted, and nothing answers there.
    """
    found = []
    for model in models:
        name = model or (_only_model(base_url) if base_url else "embedded")
        name = f"{name}+{Path(adapter).name}" if adapter else name
        served = name if base_url and model is None else model
        configuration = Configuration(name, served, adapter, base_url)
        _check(configuration, "the command line")
        found.append(configuration)
    _check_names(found, "--models")
    return found


def _only_model(base_url: str) -> str:
    from agent import connect

    return connect.connect(Configuration("", base_url=base_url).settings()).model


def _check(configuration: Configuration, where: str) -> None:
    """What can be known to be wrong before anything is started."""
    from agent.serving import weights

    key = configuration.api_key_env
    if key != _KEY and not os.environ.get(key):
        raise UsageError(f"{where}: api_key_env: the variable {key} is not set.")
    if not configuration.is_ours:
        if configuration.adapter is not None:
            raise UsageError(f"{where}: adapter needs a model that we load; leave out base_url.")
        return
    if configuration.model is None and configuration.adapter is not None:
        raise UsageError(f"{where}: adapter needs model, the model that it was trained for.")
    try:
        weights.check(configuration.model or weights.EMBEDDED, configuration.adapter)
    except weights.LoadError as error:
        raise UsageError(f"{where}: {error}.") from None


def _check_names(found: Sequence[Configuration], where: str) -> None:
    names = [configuration.name for configuration in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: the name {twice!r} is there twice; give each its own.")
