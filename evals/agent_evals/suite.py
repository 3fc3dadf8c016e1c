"""A suite: questions with what a right run does, one JSON object per line, checked when read."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from agent.exits import UsageError
from agent_tools import TOOLS

HOME = Path(__file__).parents[1]
_TOOL_NAMES = [tool.__name__ for tool in TOOLS]


def _known_tool(name: str) -> str:
    if name not in _TOOL_NAMES:
        raise ValueError(f"no tool {name!r}; the tools are {', '.join(_TOOL_NAMES)}")
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _inside(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"{path!r} is no path inside the fixture")
    return path


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
ToolName = Annotated[str, AfterValidator(_known_tool)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Label = Literal["tool", "direct"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Gold(_Part):
    """A call that gives the evidence."""

    name: ToolName
    arguments: dict[str, Any]


class After(_Part):
    """What holds for a file once the run is over; exactly one of the three conditions."""

    path: Annotated[Text, AfterValidator(_inside)]
    content: str | None = None
    contains: str | None = None
    lacks: str | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> "After":
        if sum(c is not None for c in (self.content, self.contains, self.lacks)) != 1:
            raise ValueError("needs exactly one of content, contains and lacks")
        return self


class Case(_Part):
    """One question. `answer`: all groups must match, each by any of its patterns."""

    id: Text
    fixture: Annotated[Text, AfterValidator(_inside)]
    question: Text
    label: Label
    subtype: Text
    lang: Text = "en"
    pair: Text | None = None
    tools: list[ToolName] = Field(default_factory=list)
    evidence: list[Text] = Field(default_factory=list)
    gold: Gold | None = None
    answer: list[Annotated[list[Pattern], Field(min_length=1)]] = Field(default_factory=list)
    after: list[After] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits_its_label(self) -> "Case":
        if self.label == "tool" and not self.tools:
            raise ValueError('a "tool" row needs the acceptable "tools"')
        if self.label == "tool" and not (self.evidence or self.after):
            raise ValueError('a "tool" row needs "evidence" or "after"')
        if self.label == "direct" and (self.tools or self.evidence or self.gold or self.after):
            raise ValueError('a "direct" row has no tools, evidence, gold or after')
        return self


@dataclass(frozen=True)
class Suite:
    """The cases of a file, the folder of their fixtures, and the hash of the file."""

    name: str
    cases: tuple[Case, ...]
    fixtures: Path
    sha256: str


def load(name: str) -> Suite:
    """A suite of ours by name, or any file; the fixtures lie in `../fixtures` of its folder.

    Raises:
        UsageError: there is no such suite, or a row of it is wrong; the message names the line.
    """
    path = _find(name)
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8.") from None
    fixtures = path.resolve().parent.parent / "fixtures"
    cases = tuple(_cases(text, path.name, fixtures))
    if not cases:
        raise UsageError(f"{path} has no rows.")
    return Suite(path.stem, cases, fixtures, hashlib.sha256(data).hexdigest())


def _find(name: str) -> Path:
    ours = HOME / "suites" / f"{name}.jsonl"
    if re.fullmatch(r"[\w-]+", name) and ours.is_file():
        return ours
    if Path(name).is_file():
        return Path(name)
    known = sorted(path.stem for path in (HOME / "suites").glob("*.jsonl"))
    suites = f"the suites are {', '.join(known)}" if known else "none comes with this install"
    raise UsageError(f"--suite: there is no suite or file {name!r}; {suites}.")


def _cases(text: str, name: str, fixtures: Path) -> Iterator[Case]:
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            case = Case.model_validate_json(line)
        except ValidationError as error:
            raise UsageError(f"{where}: {_first(error)}.") from None
        if case.id in lines:
            raise UsageError(
                f"{where}: the id {case.id!r} is already that of line {lines[case.id]}."
            )
        if not (fixtures / case.fixture).is_dir():
            raise UsageError(f"{where}: there is no fixture {str(fixtures / case.fixture)!r}.")
        lines[case.id] = number
        yield case


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {field!r}"
    if problem["type"] == "missing":
        return f"{field!r} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


def spread(cases: Sequence[Case], limit: int) -> list[Case]:
    """The first `limit` cases in an order that mixes both labels, the same every time."""

    def rank(case: Case) -> str:
        return hashlib.sha256(case.id.encode()).hexdigest()

    kinds = [sorted((c for c in cases if c.label == k), key=rank) for k in ("tool", "direct")]
    places = {case.id: (i, k) for k, kind in enumerate(kinds) for i, case in enumerate(kind)}
    return sorted(cases, key=lambda case: places[case.id])[:limit]


def as_row(case: Case) -> dict[str, Any]:
    """What of a case every result row repeats."""
    return case.model_dump(
        include={"id", "fixture", "question", "label", "subtype", "lang", "pair"}
    )
