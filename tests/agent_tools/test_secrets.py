"""Secrets are not read, and Git's directory and our configuration not written, by any name."""

import os
from pathlib import Path

import pytest

from agent_tools import Workspace, edit_file, find_files, grep, read_file, write_file
from agent_tools.policy import is_never_written, is_secret

from .calls import told

SECRET = "hunter2-swordfish"
SECRETS = [
    ".env", ".env.local", "server.pem", "id_rsa", "id_ed25519.pub", "tls.key", ".npmrc", ".netrc",
    ".pypirc", "auth.json", "credentials", "credentials.json", ".aws/config", ".ssh/config",
    ".git-credentials", "deep/er/.env", ".ENV", "ID_RSA", "Server.PEM", ".e\u200bnv", "\uff0eenv",
]  # fmt: skip
OPEN = [
    ".env.example",
    "environment.py",
    "keys.py",
    "credentials.py",
    "credentials_test.go",
    "a.pem.md",
]


@pytest.mark.parametrize("name", SECRETS)
def test_secret_names(workspace: Workspace, root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(f"password={SECRET}\n")
    for answer in (
        told(read_file, workspace, name),
        told(grep, workspace, "password", name),
        told(edit_file, workspace, name, "password", "x"),
        told(write_file, workspace, name, "x"),
    ):
        assert answer == f"Error: {_denied(name)} may hold secrets, so no tool may open it."
    assert told(grep, workspace, "password") == "No matches."
    assert told(grep, workspace, "password", glob="**/.*") == "No matches."
    assert told(grep, workspace, "password", glob=name) == "No matches."
    assert SECRET in (root / name).read_text()


def _denied(name: str) -> str:
    """The part at which the walk stops."""
    return next((d for d in (".aws", ".ssh") if name.startswith(d)), name)


@pytest.mark.parametrize("name", OPEN)
def test_names_that_only_look_like_it(workspace: Workspace, root: Path, name: str) -> None:
    (root / name).write_text("password=\n")
    assert told(read_file, workspace, name).startswith(f"{name}: lines 1-1 of 1")


def test_a_link_to_a_secret(workspace: Workspace, root: Path) -> None:
    (root / "readme.txt").symlink_to(".env")
    (root / "config").symlink_to(".ssh")
    # Created after the link, and after the workspace.
    (root / ".env").write_text(SECRET)
    (root / ".ssh").mkdir()
    (root / ".ssh" / "known").write_text(SECRET)
    for path in ("readme.txt", "config/known"):
        assert "may hold secrets" in told(read_file, workspace, path)
        assert "may hold secrets" in told(grep, workspace, "h", path)
    assert told(grep, workspace, "hunter2") == "No matches."


def test_a_hard_link_to_a_secret(workspace: Workspace, root: Path) -> None:
    (root / "src" / ".env").write_text(f"{SECRET}\n")
    (root / "plain.txt").write_text("hunter2 is no secret here\n")
    os.link(root / "plain.txt", root / "also.txt")
    assert "no secret" in told(read_file, workspace, "also.txt")
    os.link(root / "src" / ".env", root / "innocent.txt")
    assert "may hold secrets" in told(read_file, workspace, "innocent.txt")
    assert told(grep, workspace, "hunter2").splitlines() == [
        "2 matches in 2 files",
        "also.txt:1: hunter2 is no secret here",
        "plain.txt:1: hunter2 is no secret here",
    ]
    assert "may hold secrets" in told(edit_file, workspace, "innocent.txt", "h", "H")


def test_a_hard_link_to_a_secret_of_the_home(workspace: Workspace, root: Path) -> None:
    keys = Path(os.environ["HOME"]) / ".ssh"
    keys.mkdir()
    (keys / "deploy").write_text(SECRET)
    os.link(keys / "deploy", root / "innocent.txt")
    assert "may hold secrets" in told(read_file, workspace, "innocent.txt")


def test_names_of_secrets_may_be_listed_but_not_private_directories(
    workspace: Workspace, root: Path
) -> None:
    (root / ".env").write_text(SECRET)
    (root / ".ssh").mkdir()
    (root / ".ssh" / "work-hosts").write_text(SECRET)
    assert find_files(workspace, ".env") == "1 file\n.env"
    assert find_files(workspace, ".ssh") == "No files match."


PROTECTED = [
    ".git/config", ".git/hooks/pre-commit", ".git", ".GIT/config", "sub/.git/hooks/x", ".agent/x",
    ".agent", "agent.toml", "AGENT.TOML", "src/../.git/config", ".g\u200dit/config",
    "new/../.git/x", "src/deep/agent.toml",
]  # fmt: skip


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("path", PROTECTED)
def test_protected_names(workspace: Workspace, root: Path, path: str, there: bool) -> None:
    if there:
        (root / ".git" / "hooks").mkdir(parents=True)
        (root / ".git" / "config").write_text("[core]\n")
        (root / "agent.toml").write_text("")
    before = sorted(root.rglob("*"))
    assert told(write_file, workspace, path, "x").startswith("Error:")
    assert told(edit_file, workspace, path, "core", "x").startswith("Error:")
    assert sorted(root.rglob("*")) == before


def test_what_protected_names_link_to(workspace: Workspace, root: Path) -> None:
    (root / "gitdir" / "hooks").mkdir(parents=True)
    (root / ".git").symlink_to("gitdir")
    (root / "settings.toml").write_text("")
    (root / "agent.toml").symlink_to("settings.toml")
    (root / "innocent").symlink_to(".git")
    for path in ("gitdir/hooks/x", "gitdir/x", "settings.toml", "innocent/config", ".git/x"):
        assert "is protected" in told(write_file, workspace, path, "x")


def test_instructions_for_agents_may_be_written(workspace: Workspace) -> None:
    assert write_file(workspace, "AGENTS.md", "Be kind.\n") == "Created AGENTS.md (1 line)."
    assert write_file(workspace, ".gitignore", "*.o\n") == "Created .gitignore (1 line)."
    assert write_file(workspace, ".github/ci.yml", "on: push\n").startswith("Created")


def test_policies_hold_for_whole_components() -> None:
    assert is_secret("a/.aws/b") and is_secret(".env/x") and not is_secret("a/b.aws/c")
    assert is_never_written("a/.git/b") and not is_never_written("a/.github/b")
    assert not is_never_written("my-agent.toml")
