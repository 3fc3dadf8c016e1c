"""Which codebases the user trusts to configure the assistant: none, until `agent trust`.

Trust is for the content of `.agent/config.toml`: a file that changes must be trusted again. It is
kept in the user's own configuration folder, which no tool may open.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from agent import userfile
from agent.exits import UsageError

FILE = ".agent/config.toml"
_STORE = "trusted.json"
_LARGEST = 1 << 16


def read(root: Path) -> str | None:
    """The codebase's own configuration file; None where there is none.

    Raises:
        UsageError: what is there is no text file of a sensible size within the codebase.
    """
    if not os.path.lexists(root / FILE):
        return None
    from agent_tools import ToolError, Workspace

    try:
        with Workspace(root).open_file(FILE) as (descriptor, _):
            data = os.pread(descriptor, _LARGEST + 1, 0)
    except (ToolError, OSError) as error:
        raise UsageError(f"{FILE} of this codebase cannot be read: {error}") from None
    if len(data) > _LARGEST:
        raise UsageError(f"{FILE} of this codebase is larger than 64 KiB.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{FILE} of this codebase is not UTF-8.") from None


def honoured(root: Path) -> str | None:
    """The codebase's configuration if the user trusts what it says now, else None.

    Raises:
        UsageError: the record of what is trusted is broken.
    """
    trusted = remembered().get(_name(root))
    if trusted is None:
        return None
    try:
        text = read(root)
    except UsageError:
        return None
    return text if text is not None and _hash(text) == trusted else None


def is_trusted(root: Path) -> bool:
    """Whether the codebase has a configuration file that the user trusts as it is now."""
    return honoured(root) is not None


def notice(root: Path) -> str | None:
    """A line for the user about a configuration file that is there and not honoured."""
    if not os.path.lexists(root / FILE) or is_trusted(root):
        return None
    why = "changed since you trusted it" if _name(root) in remembered() else "is not trusted"
    return f"{FILE} of this codebase {why}, so nothing in it counts; see `agent trust`."


def trust(root: Path, text: str | None = None) -> None:
    """Honour the codebase's configuration from now on, as long as it says `text` (now, if None).

    Raises:
        UsageError: there is no configuration file.
        AgentError: the user's configuration folder cannot be written.
    """
    text = read(root) if text is None else text
    if text is None:
        raise UsageError(f"{root} has no {FILE}, so there is nothing to trust.")
    _store({_name(root): _hash(text)})


def distrust(root: Path) -> bool:
    """Honour the codebase's configuration no longer; False where it was not trusted.

    Raises:
        AgentError: the user's configuration folder cannot be written.
    """
    known = _name(root) in remembered()
    if known:
        _store({_name(root): None})
    return known


def remembered() -> dict[str, str]:
    """The trusted codebases, each with the hash of the configuration that was trusted.

    Raises:
        UsageError: the record is broken.
    """
    text = ""
    with suppress(FileNotFoundError):
        text = (userfile.folder() / _STORE).read_text(encoding="utf-8", errors="replace")
    return _parsed(text)


def _store(changes: dict[str, str | None]) -> None:
    def change(text: str) -> str:
        merged = {**_parsed(text), **changes}
        kept = {root: digest for root, digest in sorted(merged.items()) if digest is not None}
        return json.dumps(kept, indent=1) + "\n"

    userfile.rewrite(_STORE, change)


def _parsed(text: str) -> dict[str, str]:
    try:
        record = json.loads(text or "{}")
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise UsageError(f"{userfile.folder() / _STORE} is broken; delete it and trust again.")
    return {str(root): str(digest) for root, digest in record.items()}


def _name(root: Path) -> str:
    return str(root.resolve())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
