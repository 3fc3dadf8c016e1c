"""What every row must satisfy before anything is trained on it; refusals are counted by reason."""

import inspect
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from agent_training.oracle import TOOLS
from agent_training.phrasing import SLOTS
from agent_training.reserved import is_reserved
from agent_training.results import VISIBLE

MAX_CHARS = 3500
"""Of a row as the model sees it: tool results cut, earlier turns left out."""
NEAR = 0.85
"""Jaccard similarity of character 4-grams from which two questions count as near-duplicates."""

Row = dict[str, Any]
_PLACEHOLDER = re.compile(r"\{(" + "|".join(sorted(SLOTS)) + r")\}|<placeholder>|\bTODO: fill")
_SECRET = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{30}")
_TYPES = {str: str, int: int, "str": str, "int": int}


def accept(rows: Iterable[Row]) -> tuple[list[Row], Counter[str]]:
    """The rows that pass, without exact duplicates, and the reasons of the others."""
    kept: list[Row] = []
    reasons: Counter[str] = Counter()
    seen: dict[str, str] = {}
    for row in rows:
        reason = problem(row)
        if not reason:
            key = _key(row)
            if key in seen:
                reason = "duplicate" if seen[key] == row["label"] else "duplicate, other label"
            else:
                seen[key] = row["label"]
        if reason:
            reasons[f"row: {reason}"] += 1
        else:
            kept.append(row)
    return kept, reasons


def _key(row: Row) -> str:
    results = [m["content"] for m in row["messages"] if m["role"] == "tool"]
    return json.dumps([question(row), row["tools"], results[:1], len(row["messages"])])


def problem(row: Row) -> str:
    """Why a row is refused, or ''."""
    if is_reserved(row["source"]):
        return "reserved codebase"
    if _size(row) > MAX_CHARS:
        return "too long"
    for message in row["messages"]:
        text = message["content"]
        if message["role"] != "tool":
            written = row["source"] == "hand-written"  # has no slots: braces are code
            if not text and not message.get("tool_calls"):
                return "empty message"
            if _PLACEHOLDER.search(text) and not written:
                return "placeholder left"
        elif text in ("...", "<result>") or not text:
            return "empty tool result"
        if _SECRET.search(text):
            return "secret"
        for call in message.get("tool_calls", []):
            if reason := _bad_call(call["function"], row):
                return reason
    ends_with_call = "tool_calls" in row["messages"][-1]
    if row["messages"][-1]["role"] != "assistant" or ends_with_call != _is_first_step(row):
        return "no answer"
    called = any("tool_calls" in message for message in last_turn(row))
    if called != (row["label"] == "tool"):
        return "label differs from calls"
    return ""


def _is_first_step(row: Row) -> bool:
    """Whether the row teaches a call without its result, see `agent_training.asked`."""
    return str(row["intent"]).startswith("asked:")


def _bad_call(function: dict[str, str], row: Row) -> str:
    if function["name"] not in TOOLS:
        return "unknown tool"
    if function["name"] not in row["tools"]:
        return "tool not offered"
    arguments = json.loads(function["arguments"])
    if json.dumps(arguments, ensure_ascii=False) != function["arguments"]:
        return "arguments not canonical"
    parameters = dict(list(inspect.signature(TOOLS[function["name"]]).parameters.items())[1:])
    if list(arguments) != [name for name in parameters if name in arguments]:
        return "argument unknown or out of order"
    for name, parameter in parameters.items():
        if name not in arguments:
            if parameter.default is inspect.Parameter.empty:
                return f"argument {name} missing"
        elif not isinstance(arguments[name], _TYPES[parameter.annotation]):
            return f"argument {name} of the wrong type"
        elif arguments[name] == parameter.default:
            return f"argument {name} equal to its default"
    return ""


def last_turn(row: Row) -> list[Row]:
    """The messages from the last question on."""
    at = max(i for i, message in enumerate(row["messages"]) if message["role"] == "user")
    return list(row["messages"][at:])


def question(row: Row) -> str:
    return str(last_turn(row)[0]["content"])


def _size(row: Row) -> int:
    calls = (c["function"]["arguments"] for m in last_turn(row) for c in m.get("tool_calls", []))
    texts = (m["content"][:VISIBLE] for m in last_turn(row))
    return sum(map(len, texts)) + sum(len(call) + 40 for call in calls)


def _grams(text: str) -> frozenset[str]:
    plain = re.sub(r"\W+", " ", text.lower()).strip()
    return frozenset(plain[i : i + 4] for i in range(max(1, len(plain) - 3)))


class _Near:
    """Finds earlier questions close to a new one, by their rarest 4-grams."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._grams = [_grams(text) for text in dict.fromkeys(texts)]
        self._texts = list(dict.fromkeys(texts))
        self._counts = Counter(gram for grams in self._grams for gram in grams)
        self._index: dict[str, list[int]] = defaultdict(list)
        for number, grams in enumerate(self._grams):
            for gram in grams:
                if self._counts[gram] < 3000:
                    self._index[gram].append(number)

    def find(self, text: str) -> str:
        """A near-duplicate of the text, or ''."""
        grams = _grams(text)
        shared: Counter[int] = Counter()
        for gram in grams:
            shared.update(self._index.get(gram, ()))
        for number, _ in shared.most_common(20):
            other = self._grams[number]
            if len(grams & other) / len(grams | other) >= NEAR:
                return self._texts[number]
        return ""


def without_leaks(train: list[Row], valid: list[Row]) -> tuple[list[Row], Counter[str]]:
    """Validation rows whose question is no near-duplicate of a training question."""
    near = _Near([question(row) for row in train])
    kept: list[Row] = []
    reasons: Counter[str] = Counter()
    for row in valid:
        if near.find(question(row)):
            reasons["valid: near-duplicate of a training question"] += 1
        else:
            kept.append(row)
    return kept, reasons


def contradictions(rows: list[Row], limit: int = 3000) -> list[tuple[str, str]]:
    """Near-duplicate questions with opposite labels (direct, tool), where tools are offered.

    Looked for among at most `limit` direct questions, drawn at random.
    """
    full = [row for row in rows if len(row["tools"]) == len(TOOLS)]
    near = _Near([question(row) for row in full if row["label"] == "tool"])
    direct = {question(r) for r in full if r["label"] == "direct" and r["intent"] != "contrast"}
    looked_at = random.Random(0).sample(sorted(direct), min(limit, len(direct)))
    found = ((text, near.find(text)) for text in looked_at)
    return [(text, other) for text, other in found if other]


def report(train: list[Row], valid: list[Row], rejects: Counter[str]) -> str:
    lines = []
    for name, rows in (("train", train), ("valid", valid)):
        labels = Counter(row["label"] for row in rows)
        share = 100 * labels["tool"] / max(1, len(rows))
        families = len({row["family"] for row in rows})
        lines.append(
            f"{name}: {len(rows)} rows, {labels['tool']} tool, {labels['direct']} direct "
            f"({share:.0f}% tool), {families} families, "
            f"{len({row['source'] for row in rows})} sources"
        )
    shared = {r["source"] for r in train} & {r["source"] for r in valid} - {"hand-written"}
    common = {row["family"] for row in train} & {row["family"] for row in valid}
    lines.append(f"shared by both splits: {len(shared)} codebases, {len(common)} families")
    results = [m["content"] for r in train for m in r["messages"] if m["role"] == "tool"]
    nothing = sum(result.startswith("No ") for result in results)
    errors = sum(result.startswith("Error") for result in results)
    lines.append(f"tool results in train: {nothing} with no matches, {errors} errors")
    for text, other in (found := contradictions(train))[:15]:
        lines.append(f"  opposite labels: {text!r} (direct) / {other!r} (tool)")
    lines.append(f"near-duplicates with opposite labels: {len(found)}")
    lines.append("intents: " + _counted(Counter(row["intent"] for row in train)))
    lines.append("codebases: " + _counted(Counter(row["source"] for row in train)))
    lines.append(f"refused: {sum(rejects.values())}")
    lines += [f"  {count:6} {reason}" for reason, count in rejects.most_common(40)]
    return "\n".join(lines) + "\n"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
