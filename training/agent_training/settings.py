"""Settings in a codebase's files: `key: value` in the notations people configure things in."""

from __future__ import annotations

import re
from dataclasses import dataclass

_KEY = r"[A-Za-z][\w.-]{2,40}"
_VALUE = r"(?P<quote>['\"]?)(?P<value>[\w./@ -]{1,30}?)(?P=quote)"
_NOTATIONS = {
    (".yaml", ".yml", ".neon"): rf"^\s*(?P<key>{_KEY}):\s+{_VALUE}\s*$",
    (".toml", ".ini", ".cfg", ".conf", ".env", ".properties"):
        rf"^\s*(?P<key>{_KEY})\s*=\s*{_VALUE}\s*$",
    (".json",): rf"^\s*\"(?P<key>{_KEY})\"\s*:\s*{_VALUE}\s*,?\s*$",
    (".php", ".inc"): rf"^\s*'(?P<key>{_KEY})'\s*=>\s*{_VALUE}\s*,?\s*$",
    (".js", ".ts", ".mjs", ".cjs"): rf"^\s*['\"]?(?P<key>{_KEY})['\"]?:\s*{_VALUE}\s*,?\s*$",
    (".py",): rf"^\s*['\"](?P<key>{_KEY})['\"]:\s*{_VALUE}\s*,?\s*$"
              rf"|^(?P<key2>[a-z]\w{{3,30}})\s*=\s*(?P<quote2>['\"]?)(?P<value2>[\w./-]{{1,20}})"
              r"(?P=quote2)\s*$",
}  # fmt: skip
_COMPILED = {ending: re.compile(p) for endings, p in _NOTATIONS.items() for ending in endings}
_PLAIN = re.compile(r"-?\d+(\.\d+)?|true|false|True|False|yes|no|on|off")


@dataclass(frozen=True)
class Setting:
    """One line that sets a key to a literal value; `quote` is what the value stands in, or ''."""

    key: str
    value: str
    quote: str
    file: str
    text: str


def parse(file: str, line: str) -> Setting | None:
    """The setting that a line of `file` makes, if it makes one with a simple value."""
    pattern = _COMPILED.get(f".{file.rpartition('.')[2]}")
    found = pattern.match(line) if pattern and len(line) <= 120 else None
    if found is None:
        return None
    groups = found.groupdict()
    key = groups["key"] or groups.get("key2") or ""
    value = groups["value"] or groups.get("value2") or ""
    quote = groups["quote"] or groups.get("quote2") or ""
    bare_code = file.endswith((".php", ".inc", ".js", ".ts", ".mjs", ".cjs", ".py", ".json"))
    if bare_code and not quote and not _PLAIN.fullmatch(value):
        return None
    return Setting(key, value, quote, file, line.strip())


def changed(setting: Setting, value: str) -> str:
    """The setting's line with another value in the same notation."""
    before, _, after = setting.text.rpartition(f"{setting.quote}{setting.value}{setting.quote}")
    return f"{before}{setting.quote}{value}{setting.quote}{after}"
