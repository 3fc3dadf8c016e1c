"""The one place that decides what a tool call may do.

Policy is code: nothing that a model, a file or a tool result says changes a decision. Deny beats
ask beats allow beats the permission mode, but nothing allows a write in `read-only`.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

from agent import rules as patterns
from agent import userfile
from agent.configfile import ConfigFile
from agent.exits import UsageError
from agent.rules import Rules, Where
from agent_tools import TOOLS, WRITES, ToolError, Workspace

__all__ = [
    "READS",
    "Asker",
    "Decision",
    "Policy",
    "Request",
    "Rules",
    "always_allow",
    "decide",
    "view",
]

# What only looks. Every tool that is neither here nor declared so by its author may do anything.
READS = frozenset(tool.__name__ for tool in TOOLS) - WRITES
_BELOW = frozenset({"grep", "find_files", "php_lint"})


class Decision(Enum):
    """What happens to a tool call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


def decide(mode: str, tool: str, reads: Collection[str] = READS) -> Decision:
    """What permission mode `mode` (see `settings.MODES`) alone says to a call of `tool`."""
    if tool in reads or mode == "yolo" or (mode == "accept-edits" and tool in WRITES):
        return Decision.ALLOW
    return Decision.DENY if mode == "read-only" else Decision.ASK


@dataclass(frozen=True)
class Request:
    """A call the user is asked about; `preview` is a diff, or the arguments of what is no write.

    `pattern` is what "always allow this" would allow, and `always()` allows it: from now on and in
    the user's own configuration. It raises AgentError if that cannot be written.
    """

    tool: str
    arguments: Mapping[str, object]
    preview: str
    pattern: str = ""
    always: Callable[[], object] = lambda: None


Asker = Callable[[Request], Awaitable[bool]]


@dataclass
class Policy:
    """A permission mode, the user's rules and, where somebody can be asked, how to ask.

    `mode` and `rules` may be changed between two calls. `reads` are the tools that change nothing.
    """

    mode: str
    asker: Asker | None = None
    rules: Rules = field(default_factory=Rules)
    workspace: Workspace | None = None
    reads: Collection[str] = READS

    def decide(self, tool: str, arguments: Mapping[str, object]) -> Decision:
        """What happens to a call."""
        verdict = self.rules.verdict(tool, self._where(tool, arguments))
        if verdict == "deny" or (self.mode == "read-only" and tool not in self.reads):
            return Decision.DENY
        return Decision(verdict) if verdict else decide(self.mode, tool, self.reads)

    async def refusal(
        self, tool: str, arguments: Mapping[str, object], preview: Callable[[], str]
    ) -> str | None:
        """Why the call is refused, in words for the model, or None if it may run."""
        decision = self.decide(tool, arguments)
        if decision is Decision.ALLOW:
            return None
        if decision is Decision.DENY:
            by_mode = self.mode == "read-only" and tool not in self.reads
            why = f"is not permitted in {self.mode} mode" if by_mode else "is denied by a rule here"
            return f"Denied: {tool} {why}. Do not try again."
        if self.asker is None:
            return f"Denied: {tool} needs the user's permission and nobody can be asked."
        if await self.asker(self._request(tool, arguments, preview)):
            return None
        return f"Denied: the user refused this {tool}. Do not try again."

    def remedy(self, denials: Iterable[Mapping[str, Any]]) -> str:
        """What the user can do so that these calls, each with name and arguments, may run."""
        freer = replace(self, mode="accept-edits")
        decisions = {freer.decide(denial["name"], denial["arguments"]) for denial in denials}
        if decisions <= {Decision.ALLOW}:
            return "Allow writes with --permission-mode accept-edits."
        if Decision.DENY in decisions:
            return "A rule denies it; `agent config` shows where."
        return "Allow it with a rule in [permissions] of your configuration."

    def _request(
        self, tool: str, arguments: Mapping[str, object], preview: Callable[[], str]
    ) -> Request:
        real = self._where(tool, arguments).real
        pattern = tool if real in (None, ".") else patterns.for_path(tool, str(real))

        def always() -> None:
            always_allow(pattern, self.workspace.root if self.workspace else None)
            self.rules += Rules(allow=(pattern,))

        return Request(tool, arguments, preview(), pattern, always)

    def _where(self, tool: str, arguments: Mapping[str, object]) -> Where:
        below = tool in _BELOW
        if tool == "find_files":
            path: object = patterns.literal_part(str(arguments.get("glob", "")).strip("/"))
        else:
            path = arguments.get("path", "." if below else None)
        if not isinstance(path, str):
            return Where(None, None, below)
        return Where(*self._resolved(path.strip() or "."), below)

    def _resolved(self, path: str) -> tuple[str | None, str | None]:
        """The path as written, from the root, and the real one; None for what leads nowhere."""
        if self.workspace is None:
            written = _collapsed(path.split("/"))
            return written, written
        try:
            written = _collapsed(self.workspace.parts(path))
            with self.workspace.locate(path) as place:
                return written, place.relative
        except ToolError:
            # The tool will refuse it too, and say why. Until then no rule may allow it.
            return _collapsed(path.split("/")), None


def _collapsed(parts: list[str]) -> str:
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    return str(PurePosixPath(*kept))


def view(tool: str, workspace: Workspace, rules: Rules) -> Workspace:
    """The workspace as a tool may see it: without the paths that the rules close to it."""
    closed = rules.closed_to(tool)
    return workspace.restricted(closed) if closed else workspace


def always_allow(pattern: str, root: Path | None = None) -> Path:
    """Add an `allow` rule to the user's own configuration, everywhere or for the codebase `root`.

    Comments and everything else in the file stay as they are. Returns the file.

    Raises:
        UsageError: the pattern, or what the file holds already, is wrong.
        AgentError: the file cannot be written.
    """
    import tomlkit

    try:
        patterns.parse_all([pattern], "allow")
    except ValueError as error:
        raise UsageError(f"permissions.allow {error}.") from None

    def add(text: str) -> str:
        patterns.of_file(ConfigFile(text, str(userfile.folder() / "config.toml")))
        document = tomlkit.parse(text)
        table: Any = document.setdefault("permissions", tomlkit.table())
        if root is not None:
            table = table.setdefault(str(root.resolve()), tomlkit.table())
        allowed = table.setdefault("allow", [])
        if pattern not in allowed:
            allowed.append(pattern)
        return tomlkit.dumps(document)

    return userfile.rewrite("config.toml", add)
