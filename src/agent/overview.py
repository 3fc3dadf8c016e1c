"""A first AGENTS.md for a codebase, from its files alone: no model is asked."""

import json
import re
from collections import Counter
from pathlib import PurePosixPath

from agent_tools import ToolError, Workspace, ripgrep

_LANGUAGES = {
    "py": "Python", "php": "PHP", "js": "JavaScript", "mjs": "JavaScript", "ts": "TypeScript",
    "tsx": "TypeScript", "go": "Go", "rs": "Rust", "rb": "Ruby", "java": "Java", "kt": "Kotlin",
    "c": "C", "h": "C", "cpp": "C++", "cs": "C#", "swift": "Swift", "sh": "shell", "vue": "Vue",
}  # fmt: skip
_TARGET = re.compile(r"^([A-Za-z][\w.-]*)\s*:(?!=)", re.MULTILINE)
_LARGEST = 200_000
_FOLDERS = 12


def draft(workspace: Workspace) -> str:
    """The text of an AGENTS.md: what it is, where things are, how to run it."""
    files = ripgrep.files(workspace)
    name = workspace.root.name
    parts = [f"# {name}", _summary(workspace, files), _layout(files), _commands(workspace, files)]
    parts.append("## Conventions\n\nWrite here what a newcomer must know and cannot see.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(workspace: Workspace, files: list[str]) -> str:
    """The README's first paragraph, and the languages."""
    counted = Counter(_LANGUAGES.get(PurePosixPath(file).suffix[1:], "") for file in files)
    del counted[""]
    languages = ", ".join(f"{name} ({count} files)" for name, count in counted.most_common(4))
    readme = next((file for file in files if re.fullmatch(r"(?i)readme(\.\w+)?", file)), None)
    paragraphs = re.split(r"\n\s*\n", _text(workspace, readme)) if readme else []
    prose = (p.strip() for p in paragraphs if re.match(r"\s*[A-Za-z`*_]", p))
    first = " ".join(next(prose, "").split())
    return "\n\n".join(part for part in (first, languages and f"Languages: {languages}.") if part)


def _layout(files: list[str]) -> str:
    folders = Counter(file.split("/", 1)[0] for file in files if "/" in file)
    rows = [
        f"- `{name}/`: {count} file{'s' if count > 1 else ''}"
        for name, count in folders.most_common(_FOLDERS)
    ]
    return "\n".join(["## Layout", "", *rows]) if rows else ""


def _commands(workspace: Workspace, files: list[str]) -> str:
    found: list[str] = []
    if "Makefile" in files:
        targets = dict.fromkeys(_TARGET.findall(_text(workspace, "Makefile")))
        found += [f"make {target}" for target in targets]
    if "package.json" in files:
        found += [f"npm run {name}" for name in _scripts(workspace, "package.json")]
    if "composer.json" in files:
        found += [f"composer {name}" for name in _scripts(workspace, "composer.json")]
    if "pyproject.toml" in files and "pytest" in _text(workspace, "pyproject.toml"):
        found.append("pytest")
    if "go.mod" in files:
        found.append("go test ./...")
    return "\n".join(["## Commands", "", *(f"- `{line}`" for line in found)]) if found else ""


def _scripts(workspace: Workspace, path: str) -> list[str]:
    try:
        scripts = json.loads(_text(workspace, path)).get("scripts", {})
    except (ValueError, AttributeError):
        return []
    return [str(name) for name in scripts] if isinstance(scripts, dict) else []


def _text(workspace: Workspace, path: str) -> str:
    """The beginning of a file; nothing where it may not be read."""
    try:
        with (
            workspace.open_file(path) as (descriptor, _),
            open(descriptor, "rb", closefd=False) as file,
        ):
            return file.read(_LARGEST).decode("utf-8", "replace")
    except (ToolError, OSError):
        return ""
