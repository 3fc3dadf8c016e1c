"""Tools as public sets write them, made into the JSON schema that endpoints take."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agent.exits import UsageError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

# BFCL writes Python's type names, When2Call and ACEBench a mixture; JSON schema knows seven.
_TYPES = {
    "dict": "object",
    "object": "object",
    "hashmap": "object",
    "array": "array",
    "list": "array",
    "tuple": "array",
    "set": "array",
    "float": "number",
    "double": "number",
    "number": "number",
    "int": "integer",
    "integer": "integer",
    "long": "integer",
    "str": "string",
    "string": "string",
    "char": "string",
    "enum": "string",
    "bool": "boolean",
    "boolean": "boolean",
    "null": "null",
    "none": "null",
}
_PYTHON: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "number": (int, float),
    "integer": int,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
_KEPT = (
    "description",
    "default",
    "format",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
)
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Offered:
    """A tool that a request offers. `wire` is its name as OpenAI's interface allows it."""

    name: str
    wire: str
    description: str
    parameters: Mapping[str, Any]

    def problem(self, arguments: Mapping[str, Any]) -> str | None:
        """Why the arguments do not fit the schema, in a sentence; None if they do."""
        error = next(self._validator.iter_errors(dict(arguments)), None)
        return None if error is None else f"{error.json_path}: {error.message}"

    @cached_property
    def _validator(self) -> "Draft202012Validator":
        from jsonschema import Draft202012Validator

        return Draft202012Validator(dict(self.parameters))


def offered(functions: Iterable[Mapping[str, Any]], where: str) -> tuple[Offered, ...]:
    """The tools of a row; `where` names the row.

    Raises:
        UsageError: one of them has no name, or something in its place is no description of a tool.
    """
    tools: list[Offered] = []
    for function in functions:
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise UsageError(f"{where}: expected tools with a name, a description and parameters.")
        declared = function.get("parameters") or function.get("arguments") or {}
        wire = _wire(function["name"], {tool.wire for tool in tools})
        description = str(function.get("description") or "")
        tools.append(Offered(function["name"], wire, description, _parameters(declared)))
    return tuple(tools)


def _wire(name: str, taken: set[str]) -> str:
    bare = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_LONGEST_NAME] or "_"
    wire, number = bare, 1
    while wire in taken:
        number += 1
        wire = f"{bare[: _LONGEST_NAME - 4]}_{number}"
    return wire


def _parameters(declared: Any) -> dict[str, Any]:
    """A call with a parameter that the tool does not have is no valid call."""
    schema = convert(declared)
    schema.setdefault("type", "object")
    schema.setdefault("properties", {})
    return {**schema, "additionalProperties": False}


def convert(declared: Any) -> dict[str, Any]:
    """The JSON schema for a parameter's declaration; what JSON schema has no word for is left out.

    A type that is unknown (`any`, a class) allows everything. An `enum` that no value of the type
    can fulfil is left out, or no call would ever be valid.
    """
    if not isinstance(declared, Mapping):
        return {}
    schema = {key: declared[key] for key in _KEPT if declared.get(key) is not None}
    kind = _kind(declared.get("type"))
    if kind is None and isinstance(declared.get("properties"), Mapping):
        kind = "object"
    if kind:
        schema["type"] = kind
    properties = declared.get("properties")
    if kind in (None, "object") and isinstance(properties, Mapping):
        schema["properties"] = {name: convert(part) for name, part in properties.items()}
        required = declared.get("required")
        if isinstance(required, list):
            schema["required"] = [name for name in properties if name in required]
    if kind in (None, "array") and isinstance(declared.get("items"), Mapping):
        schema["items"] = convert(declared["items"])
    choice = declared.get("enum")
    if isinstance(choice, list) and (fitting := [v for v in choice if _fits(v, kind)]):
        schema["enum"] = fitting
    for key in ("anyOf", "oneOf"):
        if isinstance(declared.get(key), list):
            schema["anyOf"] = [convert(part) for part in declared[key]]
    return schema


def _kind(declared: Any) -> str | list[str] | None:
    if isinstance(declared, list):
        kinds = [_kind(kind) for kind in declared]
        return [k for k in kinds if isinstance(k, str)] if all(kinds) else None
    if not isinstance(declared, str):
        return None
    return _TYPES.get(re.split(r"[\s,(<\[]", declared.strip().casefold())[0])


def _fits(value: Any, kind: str | list[str] | None) -> bool:
    if kind is None:
        return True
    kinds = [kind] if isinstance(kind, str) else kind
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, _PYTHON[name]) for name in kinds)
