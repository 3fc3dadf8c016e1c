"""Ask one codebase its share of the questions; the oracle's dialogues become rows."""

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_training import pasted
from agent_training.filling import fill
from agent_training.intents import DIRECT, INTENTS
from agent_training.intents.followups import absent
from agent_training.memory import recall, remember
from agent_training.mine import Codebase, mine
from agent_training.oracle import TOOLS, Executor, Run, Unusable
from agent_training.phrasing import Frame, substitute, typed

Row = dict[str, Any]
TOOL_NAMES = tuple(TOOLS)


@dataclass(frozen=True)
class Job:
    """One question to be asked of one codebase."""

    frame: Frame
    partner: Frame | None
    first: Frame | None
    """For a follow-up, the frame of the turn before."""
    seed: str
    without_tool: bool
    """Ask once more where the tool it needs is not offered."""


def no_names() -> pasted.Names:
    return {"class": [], "function": [], "constant": []}


def work(
    item: tuple[str, Path, Path, list[Job]],
) -> tuple[list[Row], Counter[str], pasted.Names]:
    """All questions of one codebase, and some of its names.

    Results of tools are remembered on disk for the next build.
    """
    name, root, cache, jobs = item
    code = mine(name, root)
    file = cache / ".results" / f"{root.name}.json"
    known = recall(file, code)
    results = dict(known)
    execute = Executor(code, results)
    rows: list[Row] = []
    rejects: Counter[str] = Counter()
    for job in jobs:
        problem = ""
        for attempt in range(4):
            try:
                rows += _ask(job, code, execute, random.Random(f"{job.seed} {attempt}"))
                break
            except Unusable as error:
                problem = f"{job.frame.intent}: {error}"
        else:
            rejects[problem] += 1
    if results != known:
        remember(file, results)
    return rows, rejects, _some_names(code)


def _some_names(code: Codebase) -> pasted.Names:
    rng = random.Random(code.name)
    found = {kind: sorted({s.name for s in code.of_kind(kind)}) for kind in no_names()}
    return {kind: rng.sample(names, min(40, len(names))) for kind, names in found.items()}


def _ask(job: Job, code: Codebase, execute: Executor, rng: random.Random) -> list[Row]:
    frame = job.frame
    history: list[Row] = []
    previous = None
    if job.first is not None:
        previous = Run(code, fill(job.first.intent, job.first.slots, code, rng), execute)
        previous.answer = INTENTS[job.first.intent](previous)
        history = previous.messages(typed(job.first.question, previous.slots, rng))
    wanted = frame.slots + (job.partner.slots if job.partner else [])
    slots = fill(frame.intent, list(dict.fromkeys(wanted)), code, rng)
    run = Run(code, slots, execute, previous=previous)
    question = typed(frame.question, slots, rng)
    run.question = question
    run.answer = INTENTS[frame.intent](run)
    label = "direct" if frame.intent in DIRECT else "tool"
    asked = make_row(history + run.messages(question), frame.intent, code.name, frame.family, label)
    rows = [asked]
    if job.without_tool and label == "tool" and not history:
        rows.append(_without_tool(asked, run.calls[0][0], rng))
    if job.partner is not None:
        general = typed(job.partner.question, slots, rng)
        answer = substitute(job.partner.answer, slots)
        turn = [{"role": "user", "content": general}, {"role": "assistant", "content": answer}]
        rows.append(make_row(turn, "contrast", code.name, frame.family, "direct"))
    return rows


def make_row(messages: list[Row], intent: str, source: str, family: str, label: str) -> Row:
    return {
        "messages": messages, "tools": list(TOOL_NAMES), "intent": intent, "source": source,
        "family": family, "label": label,
    }  # fmt: skip


def _without_tool(asked: Row, needed: str, rng: random.Random) -> Row:
    """The same question where the tool it needs is not offered: an honest answer, no call."""
    rest = [name for name in TOOL_NAMES if name != needed]
    offered = [] if rng.random() < 0.3 else sorted(
        rng.sample(rest, rng.randint(1, len(rest))), key=TOOL_NAMES.index
    )  # fmt: skip
    turn = [asked["messages"][0], {"role": "assistant", "content": absent(needed)}]
    return {**asked, "messages": turn, "tools": offered, "intent": "absent", "label": "direct"}
