"""A small codebase to work in, with a canary outside of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tools import Workspace

CANARY = "canary-content-outside"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    file = outside / "canary.txt"
    file.write_text(CANARY)
    return file


@pytest.fixture
def root(tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    root = tmp_path / "project"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "src" / "a.py").write_text("import os\n\nclass Apple:\n    pass\n")
    (root / "src" / "deep" / "b.py").write_text("class Banana(Apple):\n    pass\n")
    (root / "notes.md").write_text("# Notes\nApple\n")
    return root


@pytest.fixture
def workspace(root: Path, canary: Path) -> Iterator[Workspace]:
    """The codebase as a workspace; whatever a test does, the canary stays."""
    yield Workspace(root)
    assert canary.read_text() == CANARY
    assert sorted(p.name for p in canary.parent.iterdir()) == ["canary.txt"]
