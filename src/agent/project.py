"""What names a project in our own folders, where its sessions and checkpoints are kept."""

import hashlib
import re
from pathlib import Path

_NAME = 40


def key(root: Path) -> str:
    """A folder name for the codebase at `root`: its own name and a short hash of its real path."""
    real = root.resolve()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", real.name).strip("-")[:_NAME] or "root"
    digest = hashlib.sha256(str(real).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{name}-{digest[:12]}"


def folder(kind: str, root: Path, home: Path | None = None) -> Path:
    """Where we keep `kind` (sessions, checkpoints) of the codebase at `root`; may not exist yet.

    `home` stands in for the user's state folder.
    """
    if home is None:
        from platformdirs import user_state_path

        home = user_state_path("agent")
    return home / kind / key(root)
