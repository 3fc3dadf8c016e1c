"""The hand-written examples, and the small accidents of typing that happen to them."""

import hashlib
import json
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLOT = re.compile(r"\{(\w+)\}")
SLOTS = frozenset(
    """class class2 base function function2 constant symbol file filename phpfile dir ext language
    module package word string line line2 n newfile content content2 old new
    value was newname key docfile topic kind file2""".split()  # noqa: SIM905
)
_OPENERS = ("hey, ", "hi, ", "please ", "pls ", "quick one: ", "ok, ", "so ", "um, ", "hello! ")
_CLOSERS = (" please", " pls", " thx", " thanks", "? thanks", " asap", "??", " ...", "!")
_NAMES = ("class", "class2", "base", "function", "function2", "constant", "symbol", "file",
          "filename", "phpfile", "dir", "module", "package", "docfile", "file2", "key")  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A question with slots; `direct` is its contrast partner's answer, if it needs no tool."""

    intent: str
    question: str
    family: str
    after: str = ""
    answer: str = ""

    @property
    def slots(self) -> list[str]:
        found = SLOT.findall(self.question) + SLOT.findall(self.answer)
        return [name for name in dict.fromkeys(found) if name in SLOTS]


@dataclass(frozen=True)
class Asked:
    """A question without slots, what it asks for (see `agent_training.asked`) and its fields."""

    question: str
    do: str
    fields: dict[str, Any]
    family: str


@dataclass(frozen=True)
class Scene:
    """A small codebase (path to text) with questions about it, see `agent_training.scenes`."""

    files: dict[str, str]
    asks: list[Asked]


@dataclass(frozen=True)
class Examples:
    """Everything hand-written: tool frames, direct ones (contrast), direct and asked questions."""

    tools: list[Frame]
    contrasts: list[tuple[Frame, Frame]]
    direct: list[tuple[str, str, str, str]]
    """(question, answer, kind, family); phrasings of one question share the family."""
    asked: list[Asked] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)


def family(text: str) -> str:
    """Phrasings that are equal but for case and punctuation are one family."""
    plain = re.sub(r"[^\w{}]+", " ", text.lower()).strip()
    return hashlib.sha256(plain.encode()).hexdigest()[:10]


def load(folder: Path) -> Examples:
    """Read `tool_*`, `contrast_*`, `direct_*`, `asked_*` and `scene_*.jsonl`.

    Raises ValueError naming a bad line, or the folder if there is no question in it.
    """
    tools: dict[str, Frame] = {}
    for row in _rows(folder, "tool_*.jsonl"):
        frame = Frame(row["intent"], row["q"], family(row["q"]), row.get("after", ""))
        tools.setdefault(f"{frame.intent} {frame.family} {frame.after}", frame)
    contrasts = []
    for row in _rows(folder, "contrast_*.jsonl"):
        tool, direct = row["tool"], row["direct"]
        name = family(tool["q"] + direct["q"])
        asked = Frame(tool["intent"], tool["q"], name, tool.get("after", ""))
        contrasts.append((asked, Frame(tool["intent"], direct["q"], name, "", direct["a"])))
    seen: set[str] = set()
    direct_questions = []
    for row in _rows(folder, "direct_*.jsonl"):
        for question in row["qs"]:
            if (plain := family(question)) not in seen:
                seen.add(plain)
                direct_questions.append(
                    (question, row["a"], row.get("kind", ""), family(row["qs"][0] + row["a"]))
                )
    lines = [_asked(row) for row in _rows(folder, "asked_*.jsonl")]
    scenes = [
        Scene(row["files"], [_asked(ask) for ask in row["asks"]])
        for row in _rows(folder, "scene_*.jsonl")
    ]
    if not (tools or contrasts or direct_questions or lines or scenes):
        raise ValueError(
            f"{folder} has no questions: no tool_*, contrast_*, direct_*, asked_* or scene_*.jsonl"
        )
    return Examples(list(tools.values()), contrasts, direct_questions, lines, scenes)


def _asked(row: dict[str, Any]) -> Asked:
    fields = {name: value for name, value in row.items() if name not in ("q", "do")}
    return Asked(row["q"], row["do"], fields, family(row["q"]))


def asides(folder: Path) -> list[str]:
    """Remarks that people put before or after a question, one a line of `asides.txt`."""
    path = folder / "asides.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _rows(folder: Path, pattern: str) -> list[dict[str, Any]]:
    rows = []
    for path in sorted(folder.glob(pattern)):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except json.JSONDecodeError as error:
                    raise ValueError(f"{path}:{number}: not JSON: {error}") from None
    return rows


def substitute(text: str, slots: dict[str, str]) -> str:
    return SLOT.sub(lambda match: slots.get(match.group(1), match.group(0)), text)


def typed(question: str, slots: dict[str, str], rng: random.Random) -> str:
    """The question with its slots filled, as typed: only text outside the slots is changed."""
    pieces = SLOT.split(question)
    texts, names = pieces[::2], pieces[1::2]
    pasted = "\n" in question or "`" in question
    if not pasted:
        texts = accidents(texts, rng)
    quotes = rng.choice(["``", "``", "''", '""']) if rng.random() < 0.25 else ""
    typed_text = texts[0]
    for name, text in zip(names, texts[1:], strict=True):
        value = slots.get(name, "{" + name + "}")
        bare = not typed_text.endswith(("`", "'", '"', "/", ".")) and text[:1] not in "`'\"/"
        if quotes and name in slots and name in _NAMES and bare:
            value = f"{quotes[0]}{value}{quotes[1]}"
        typed_text += value + text
    return typed_text.strip()


def accidents(texts: list[str], rng: random.Random, *, gentle: bool = False) -> list[str]:
    """The pieces of a question as somebody in a hurry types them; `gentle` keeps every word."""
    texts = list(texts)
    if rng.random() < 0.25 and not gentle:
        texts = [text.lower() for text in texts]
    if rng.random() < 0.40:
        texts[-1] = texts[-1].rstrip("?.! ")
    if rng.random() < 0.12 and not gentle:
        where = rng.choice([i for i, text in enumerate(texts) if len(text) > 5] or [0])
        texts[where] = _typo(texts[where], rng)
    if rng.random() < 0.15:
        if rng.random() < 0.5:
            opened = texts[0][:1].lower() + texts[0][1:]
            texts[0] = rng.choice(_OPENERS) + opened
        else:
            texts[-1] = texts[-1].rstrip("?.! ") + rng.choice(_CLOSERS)
    return texts


def _typo(text: str, rng: random.Random) -> str:
    """Swap, drop or double one letter inside a Latin word."""
    inner = [m.start() for m in re.finditer(r"(?<=[a-z])[a-z](?=[a-z])", text)]
    if not inner:
        return text
    at = rng.choice(inner)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + (text[at + 1 :] if kind == 1 else text[at] + text[at:])
