"""The proof of a case: its gold call is executed, and its scorer tells right from wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent_evals.fixtures import fresh_copy
from agent_evals.judge import holds, judge, right_answer
from agent_evals.suite import Case
from agent_evals.transcript import Call, Transcript, is_valid
from agent_tools import TOOLS, ToolError, Workspace

_CALLS = {tool.__name__: tool for tool in TOOLS}

# Says nothing at all, so that no check of an answer may let it pass; "done" is an answer where
# what was done is checked.
_CARELESS = ("", "Sure.", "Here you are.")
_CLAIM = "Done."


@dataclass(frozen=True)
class Problem:
    """Something wrong. `where`: a case's id or a split; those of one `kind` are told together."""

    where: str
    kind: str
    detail: str


def execute(case: Case, root: Path) -> Call:
    """The gold call of a case, really executed in `root`.

    Raises:
        ValueError: the case has none.
    """
    if case.gold is None:
        raise ValueError(f"{case.id} has no gold call")
    name, arguments = case.gold.name, case.gold.arguments
    if not is_valid(name, arguments):
        return Call(name, arguments, "failed", "the arguments do not fit the tool", valid=False)
    try:
        return Call(name, arguments, "ok", _CALLS[name](Workspace(root), **arguments))
    except ToolError as error:
        return Call(name, arguments, "failed", str(error))


def prove(case: Case, fixture: Path) -> Iterator[Problem]:
    """What is wrong with a case; nothing if it is as it should be."""
    for kind, detail in _shared(case):
        yield Problem(case.id, kind, detail)
    if case.label == "tool":
        for kind, detail in _tool(case, fixture):
            yield Problem(case.id, kind, detail)


def _shared(case: Case) -> Iterator[tuple[str, str]]:
    if case.answer:
        for careless in _CARELESS if case.after else (*_CARELESS, _CLAIM):
            if right_answer(case, Transcript((), careless)):
                yield "a careless answer passes", repr(careless)
    if case.label == "abstain" and (case.subtype == "no_tool") != (case.offered is not None):
        yield "a no_tool case, and no other that abstains, names the tools offered", case.subtype


def _tool(case: Case, fixture: Path) -> Iterator[tuple[str, str]]:
    if case.gold is None:
        yield "no gold call", ""
        return
    if case.gold.name not in case.tools:
        yield "the gold call is not among the tools that count", case.gold.name
    if case.offered is not None and case.gold.name not in case.offered:
        yield "the gold call is not offered", case.gold.name
    with fresh_copy(fixture) as root:
        if _verdict(case, fixture, root):
            yield "right without any call", ""
        if case.after and all(holds(condition, root) for condition in case.after):
            yield "the postcondition holds before anything was done", ""
        call = execute(case, root)
        if call.outcome != "ok":
            yield "the gold call fails", call.result
            return
        for text in case.evidence:
            if text not in call.result:
                yield "the gold call does not give the evidence", text
        for condition in case.after:
            if not holds(condition, root):
                yield "the postcondition does not hold after the gold call", condition.path
        if not _verdict(case, fixture, root, call):
            yield "the scorer rejects the gold call", call.name
    for group in case.answer:
        if not _is_derivable(case, group, call.result, fixture):
            yield "an answer is neither in the evidence nor in the fixture", " | ".join(group)


def _verdict(case: Case, fixture: Path, root: Path, *calls: Call) -> bool | None:
    return judge(case, Transcript(calls=calls, answer="x"), fixture, root).right_call


def _is_derivable(case: Case, group: list[str], result: str, fixture: Path) -> bool:
    """Whether a wording of it is in what can be seen, or counted in the gold call's result."""
    known = "\n".join((result, *case.evidence, _text(fixture), *_numbers(result)))
    return any(re.search(pattern, known, re.IGNORECASE) for pattern in group)


def _numbers(result: str) -> Iterator[str]:
    """What can be counted in a result: its lines, and the different files that it names."""
    lines = result.splitlines()
    for n in {len(lines), len(lines) - 1, len({line.split(":")[0] for line in lines[1:]})}:
        yield str(n)


@cache
def _text(fixture: Path) -> str:
    """All paths and all texts of a fixture."""
    parts = []
    for path in sorted(path for path in fixture.rglob("*") if path.is_file()):
        parts += [path.relative_to(fixture).as_posix(), path.read_text("utf-8", errors="replace")]
    return "\n".join(parts)
