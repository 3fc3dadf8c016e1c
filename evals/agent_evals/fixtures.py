"""The codebases that cases are about: small folders, pinned by hash, used only as fresh copies."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.exits import UsageError

PINS = "HASHES"
LEFT_BY_TOOLS = ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache")
"""Folders that no fixture has, but that linters and interpreters leave in one."""


def fixture_hash(folder: Path) -> str:
    """SHA-256, in hex, over the path and the bytes of every file below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if set(LEFT_BY_TOOLS) & set(name.parts):
            continue
        data = path.read_bytes()
        digest.update(f"{name.as_posix()}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def check(fixtures: Path, names: Iterable[str]) -> None:
    """See that the named codebases are those pinned in `HASHES`, a file of lines `hash  name`.

    A folder of fixtures without that file is not pinned.

    Raises:
        UsageError: one of them is not pinned, or has changed.
    """
    pins = fixtures / PINS
    if not pins.is_file():
        return
    lines = (line.split() for line in pins.read_text(encoding="utf-8").splitlines())
    pinned = {name: value for value, name in lines}
    for name in sorted(names):
        found = fixture_hash(fixtures / name)
        if pinned.get(name) != found:
            why = "is not the one that is pinned" if name in pinned else "is not pinned"
            raise UsageError(
                f"The fixture {str(fixtures / name)!r} {why}: restore it, or, if it shall be as it "
                f"is, put the line '{found}  {name}' into {pins}."
            )


@contextmanager
def fresh_copy(fixture: Path) -> Iterator[Path]:
    """A copy that lives as long as the context; its folder has the fixture's name."""
    with tempfile.TemporaryDirectory(prefix="agent-bench-") as scratch:
        root = Path(scratch).resolve() / fixture.name
        ignore = shutil.ignore_patterns(*LEFT_BY_TOOLS)
        shutil.copytree(fixture, root, symlinks=True, ignore=ignore)
        yield root
