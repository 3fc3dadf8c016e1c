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
