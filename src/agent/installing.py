"""How to get what is optional."""

from pathlib import Path


def command(extra: str) -> str:
    """The command that adds an extra to this installation, from any directory.

    It keeps the extras and groups that are there, which a plain `uv sync` would remove.
    """
    clone = Path(__file__).resolve().parents[2]
    if not (clone / "pyproject.toml").is_file():
        return f"install agent anew with its extra {extra!r}"
    return f"uv sync --inexact --project '{clone}' --extra {extra}"
