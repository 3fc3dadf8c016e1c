"""Tool calls that a model printed as text, and names it spelt differently.

A text is promoted to a call only when there is no doubt: nothing but the markup, a known tool, an
object as arguments. Everything else stays text.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

ALIASES = {
    "search": "grep",
    "ripgrep": "grep",
    "rg": "grep",
    "search_files": "grep",
    "search_code": "grep",
    "glob": "find_files",
    "find": "find_files",
    "find_file": "find_files",
    "list_files": "find_files",
    "cat": "read_file",
    "read": "read_file",
    "open_file": "read_file",
    "view_file": "read_file",
    "write": "write_file",
    "create_file": "write_file",
    "edit": "edit_file",
    "replace_in_file": "edit_file",
    "lint_php": "php_lint",
    "lint": "php_lint",
}

_WRAPPERS = re.compile(
    r"<tool_call>(?P<hermes>.*?)(?:</tool_call>|\Z)"
    r"|<function_call>(?P<function>.*?)(?:</function_call>|\Z)"
    r"|```(?:json|tool_call|tool_code)?[ \t]*\n(?P<fence>.*?)\n?```"
    r"|\[TOOL_CALLS\](?P<mistral>.*)\Z"
    r"|(?P<xml><function=(?P<name>[^>\s]+)>.*?</function>)",
    re.DOTALL,
)
_PARAMETER = re.compile(r"<parameter=(?P<key>[^>\s]+)>\n?(?P<value>.*?)\n?</parameter>", re.DOTALL)


class TextCall(NamedTuple):
    """A call found in text."""

    name: str
    arguments: dict[str, Any]


def tool_name(name: str, known: Collection[str]) -> str:
    """The known tool meant by a name, or the name itself when it is none of them."""
    bare = re.split(r"[.:/]", name.strip().strip("`\"'"))[-1].casefold().replace("-", "_")
    bare = bare if bare in known else ALIASES.get(bare, bare)
    return bare if bare in known else name


def calls_in(text: str, known: Collection[str]) -> list[TextCall]:
    """The calls that a text consists of; empty when it is anything but calls of known tools."""
    text = text.strip()
    pieces = [text] if text.startswith(("{", "[")) else _unwrap(text)
    found: list[TextCall] = []
    for piece in pieces:
        calls = list(_calls(piece, known))
        if not calls:
            return []
        found.extend(calls)
    return found


def _unwrap(text: str) -> list[str]:
    """The inside of each piece of markup; empty when there is text besides."""
    if _WRAPPERS.sub("", text).strip():
        return []
    return [next(g for g in m.groups() if g is not None) for m in _WRAPPERS.finditer(text)]


def _calls(piece: str, known: Collection[str]) -> Iterator[TextCall]:
    piece = piece.strip()
    if piece.startswith("<function="):
        match = _WRAPPERS.fullmatch(piece)
        name = tool_name(match["name"] or "", known) if match else ""
        if name in known:
            yield TextCall(name, {m["key"]: _value(m["value"]) for m in _PARAMETER.finditer(piece)})
        return
    try:
        parsed = json.loads(piece, strict=False)
    except ValueError:
        return
    for item in parsed if isinstance(parsed, list) else [parsed]:
        call = _json_call(item, known)
        if call is None:
            return
        yield call


def _json_call(item: Any, known: Collection[str]) -> TextCall | None:
    if not isinstance(item, dict):
        return None
    if item.get("type") == "function" and isinstance(item.get("function"), dict):
        item = item["function"]
    spelling = next((key for key in ("arguments", "parameters", "args") if key in item), None)
    if spelling is None or not isinstance(item.get("name"), str):
        return None
    arguments = item[spelling]
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, strict=False)
        except ValueError:
            return None
    name = tool_name(item["name"], known)
    if name not in known or not isinstance(arguments, dict):
        return None
    return TextCall(name, arguments)


def _value(text: str) -> object:
    """A parameter's text; a whole number stays one, so that typed parameters accept it."""
    return int(text) if re.fullmatch(r"-?\d{1,9}", text.strip()) else text


def arguments(raw: str | dict[str, Any] | None) -> dict[str, Any] | None:
    """The arguments of a call, or None when they are not a JSON object.

    Line breaks inside strings, which JSON forbids, are accepted: nothing about them is ambiguous.
    """
    if isinstance(raw, dict):
        return raw
    try:
        parsed = json.loads(raw or "", strict=False)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def is_call(text: str) -> bool:
    """Whether a text is nothing but a JSON tool call, of whatever tool."""
    text = text.strip()
    try:
        parsed = json.loads(text, strict=False) if text.startswith("{") else None
    except ValueError:
        return False
    return isinstance(parsed, dict) and {"name", "arguments"} <= set(parsed)
