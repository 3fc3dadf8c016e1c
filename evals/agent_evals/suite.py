"""A suite: questions with what a right run does, one JSON object per line, checked when read.

The first line may be a header, `{"canary": "…"}`: a text by which a training corpus that has
swallowed the suite is recognised.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

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
from agent_evals import fixtures as codebases
from agent_tools import TOOLS, WRITES

HOME = Path(__file__).parents[1]
DEFAULT = "discrimination"
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
Label = Literal["tool", "direct", "abstain"]
Split = Literal["dev", "test"]
LABELS: tuple[Label, ...] = ("tool", "direct", "abstain")
LOOKING = frozenset(_TOOL_NAMES) - WRITES

# What is missing shows only to those who look; where the question itself lacks it, or the tool
# does, a call is a guess.
_LOOK_FIRST = frozenset({"missing_file", "ambiguous"})


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


class Header(_Part):
    """The first line of a suite that is not to be trained on."""

    canary: Text


class Case(_Part):
    """One question. `answer`: all groups must match, each by any of its patterns.

    `offered`: the tools that the model is given; all if None. `family`: cases of the same wording
    with other names; no family and no fixture is in both splits.
    """

    id: Text
    fixture: Annotated[Text, AfterValidator(_inside)]
    question: Text
    label: Label
    subtype: Text
    lang: Text = "en"
    pair: Text | None = None
    family: str = ""
    split: Split = "dev"
    offered: list[ToolName] | None = None
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
        if self.label == "abstain" and (self.tools or self.evidence or self.gold or self.after):
            raise ValueError('an "abstain" row has no tools, evidence, gold or after')
        if self.label == "abstain" and not self.answer:
            raise ValueError('an "abstain" row needs the "answer" that says what is missing')
        return self

    @property
    def may_look(self) -> bool:
        """Whether an "abstain" case is still right after calls that only look."""
        return self.label == "abstain" and self.subtype in _LOOK_FIRST


@dataclass(frozen=True)
class Suite:
    """The cases of a file, the folder of their fixtures, the hash of the file, its canary."""

    name: str
    cases: tuple[Case, ...]
    fixtures: Path
    sha256: str
    canary: str | None = None

    def of(self, split: Split | None) -> tuple[Case, ...]:
        """The cases of a split; all of them for None.

        Raises:
            UsageError: the suite has none of that split.
        """
        cases = tuple(case for case in self.cases if split in (None, case.split))
        if not cases:
            raise UsageError(f"--split: the suite {self.name} has no {split} cases.")
        return cases


def load(name: str) -> Suite:
    """A suite of ours by name, or any file; the fixtures lie in `../fixtures` of its folder.

    Raises:
        UsageError: there is no such suite, a row of it is wrong (the message names the line), or
            one of its fixtures is not the one that is pinned.
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
    canary = _canary(text)
    cases = tuple(_cases(text, path.name, fixtures, skip=1 if canary else 0))
    if not cases:
        raise UsageError(f"{path} has no rows.")
    codebases.check(fixtures, {case.fixture for case in cases})
    return Suite(path.stem, cases, fixtures, hashlib.sha256(data).hexdigest(), canary)


def _find(name: str) -> Path:
    ours = HOME / "suites" / f"{name}.jsonl"
    if re.fullmatch(r"[\w-]+", name) and ours.is_file():
        return ours
    if Path(name).is_file():
        return Path(name)
    known = sorted(path.stem for path in (HOME / "suites").glob("*.jsonl"))
    suites = f"the suites are {', '.join(known)}" if known else "none comes with this install"
    raise UsageError(f"--suite: there is no suite or file {name!r}; {suites}.")


def _canary(text: str) -> str | None:
    try:
        return Header.model_validate_json(text.split("\n", 1)[0]).canary
    except ValidationError:
        return None


def _cases(text: str, name: str, fixtures: Path, skip: int) -> Iterator[Case]:
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if number <= skip or not line.strip():
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


class _Labelled(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str: ...


AnyCase = TypeVar("AnyCase", bound=_Labelled)


def spread(cases: Sequence[AnyCase], limit: int | None = None) -> list[AnyCase]:
    """The first `limit` cases in an order that mixes the labels, the same every time."""

    def rank(case: AnyCase) -> str:
        return hashlib.sha256(case.id.encode()).hexdigest()

    kinds = [sorted((c for c in cases if c.label == k), key=rank) for k in LABELS]
    places = {case.id: (i, k) for k, kind in enumerate(kinds) for i, case in enumerate(kind)}
    return sorted(cases, key=lambda case: places[case.id])[:limit]


_ROW = {"id", "fixture", "question", "label", "subtype", "lang", "pair", "family", "split"}


def as_row(case: Case) -> dict[str, Any]:
    """What of a case every result row repeats."""
    return case.model_dump(include=_ROW)
