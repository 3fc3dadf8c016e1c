"""Right or wrong: one run held against its case.

Only calls that were parsed, name an offered tool, fit its schema and were executed count. A run
with no such call that broke off or wrote an unusable call is no abstention: it is an outcome of its
own.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from agent import loops
from agent_evals.suite import LOOKING, After, Case, Gold
from agent_evals.transcript import Call, Transcript
from agent_tools import WRITES

Decision = Literal["called", "answered", "malformed", "error"]
_LOST_LINES = 3  # an edit that loses more lines of the file than this was no edit


@dataclass(frozen=True)
class Verdict:
    """The scores of one run; None where the case does not ask.

    `decided`: the right one of calling, answering and saying what is missing. `right_call`: the
    right tool with the right arguments, that is, all the evidence in one of its results.
    `repeated` and `malformed`: calls of that kind. `looped`: the guard or the turn limit had to
    step in. `excess`: calls beyond the one that a question about the code takes; every gold call is
    one that gives all the evidence. `gold_call`: one of the calls is the case's gold call, up to
    defaults and the spelling of paths.
    """

    decision: Decision
    decided: bool
    right_call: bool | None
    right_answer: bool | None
    repeated: int
    malformed: int
    looped: bool
    excess: int = 0
    gold_call: bool | None = None

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def judge(case: Case, run: Transcript, fixture: Path, root: Path) -> Verdict:
    """The verdict on a run in `root`, which was a fresh copy of `fixture` before it."""
    decision = decide(run)
    return Verdict(
        decision=decision,
        decided=_decided(case, decision, run, fixture, root),
        right_call=_right_call(case, run, fixture, root) if case.label == "tool" else None,
        right_answer=right_answer(case, run) if case.answer else None,
        repeated=repeated_calls(run.calls, run.root),
        malformed=malformed_calls(run),
        looped=run.ended in ("looped", "turn_limit") or any("loop" in i for i in run.interventions),
        excess=max(0, len(run.calls) - (case.label == "tool" or case.may_look)),
        gold_call=_gold_call(case.gold, run) if case.gold else None,
    )


def _decided(case: Case, decision: Decision, run: Transcript, fixture: Path, root: Path) -> bool:
    if case.label == "tool":
        return decision == "called"
    if case.label == "direct":
        return decision == "answered"
    calm = decision == "answered" or (decision == "called" and _only_looked(case, run))
    return calm and right_answer(case, run) and not changed_files(fixture, root)


def _only_looked(case: Case, run: Transcript) -> bool:
    """Looking is all that was done; a change that failed on what is not there was a look, too."""
    done = (call for call in run.calls if call.executed)
    return case.may_look and all(c.name in LOOKING or c.outcome == "failed" for c in done)


def decide(run: Transcript) -> Decision:
    """What the model decided to do, or how it failed to decide."""
    if any(call.executed for call in run.calls):
        return "called"
    if malformed_calls(run):
        return "malformed"
    return "answered" if run.ended == "success" else "error"


def malformed_calls(run: Transcript) -> int:
    """Calls to unknown tools, with arguments against the schema, or that nobody could parse."""
    return sum(not call.valid for call in run.calls) + (run.ended == "unparsed_tool_call")


def repeated_calls(calls: Sequence[Call], root: str = "") -> int:
    """Calls whose result the run already had, by the definition of `agent.loops`."""
    done: list[loops.Call] = []
    repeats = 0
    for call in calls:
        key = loops.call_key(call.name, call.arguments, root)
        repeats += loops.repeated(done, key)
        if call.outcome != "skipped":
            ok = call.outcome == "ok"
            wrote = ok and call.name in WRITES
            done.append(loops.Call(key, loops.result_hash(call.result), wrote, not ok))
    return repeats


def _right_call(case: Case, run: Transcript, fixture: Path, root: Path) -> bool:
    good = [c for c in run.calls if c.executed and c.outcome == "ok" and c.name in case.tools]
    if case.after:
        return bool(good) and _changed_right(case, fixture, root)
    return any(all(text in call.result for text in case.evidence) for call in good)


def _gold_call(gold: Gold, run: Transcript) -> bool:
    wanted = loops.call_key(gold.name, gold.arguments)
    keys = (loops.call_key(c.name, c.arguments, run.root) for c in run.calls if c.executed)
    return wanted in keys


def _changed_right(case: Case, fixture: Path, root: Path) -> bool:
    """The postcondition holds, nothing else changed, and an edit left the rest of its file."""
    if not all(holds(condition, root) for condition in case.after):
        return False
    wanted = {condition.path for condition in case.after}
    if changed_files(fixture, root) - wanted:
        return False
    is_edit = case.gold is not None and case.gold.name == "edit_file"
    return not is_edit or all(_lost(fixture / p, root / p) <= _LOST_LINES for p in wanted)


def holds(condition: After, root: Path) -> bool:
    """Whether a condition holds for the files below `root`; for a missing file none does."""
    try:
        text = (root / condition.path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    if condition.contains is not None:
        return condition.contains in text
    if condition.lacks is not None:
        return condition.lacks not in text
    return text == condition.content


def changed_files(before: Path, after: Path) -> set[str]:
    """The files that were added, removed or have other bytes; paths relative, `/`-separated."""
    old, new = _files(before), _files(after)
    return {
        name
        for name in old.keys() | new.keys()
        if name not in old or name not in new or old[name].read_bytes() != new[name].read_bytes()
    }


def _files(root: Path) -> dict[str, Path]:
    return {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}


def _lost(before: Path, after: Path) -> int:
    """How many different lines of a file are gone; 0 when there was no file."""
    if not before.is_file():
        return 0
    old = before.read_text(encoding="utf-8").splitlines()
    return len(set(old) - set(after.read_text(encoding="utf-8").splitlines()))


def right_answer(case: Case, run: Transcript) -> bool:
    """The run ended well and its answer matches every group; letter case does not matter."""
    return run.ended == "success" and all(
        any(re.search(pattern, run.answer, re.IGNORECASE) for pattern in group)
        for group in case.answer
    )
