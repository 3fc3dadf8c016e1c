"""The second turn of a conversation: it leans on the answer before."""

import re

from agent_training import patterns
from agent_training.intents.documents import read
from agent_training.intents.symbols import show, subject, usages
from agent_training.oracle import Run, Unusable
from agent_training.results import Hit


def _before(run: Run) -> Run:
    if run.previous is None:
        raise Unusable("a follow-up needs a turn before it")
    return run.previous


def show_it(run: Run) -> str:
    """Read the place that the answer before names first."""
    before = _before(run)
    place = re.search(r"`([^`\s]+)` at line (\d+)", before.answer) or re.search(
        r"`([^`\s]+):(\d+)`", before.answer
    )
    if place is None:
        raise Unusable("the answer before names no place")
    name = patterns.tail(subject(before))
    return show(run, name, Hit(place[1], int(place[2]), ""))


def who_uses_it(run: Run) -> str:
    run.slots = _before(run).slots
    return usages(run)


def count_it(run: Run) -> str:
    """No call: the answer before said it."""
    before = _before(run).answer
    counted = re.search(r"(\d+) (\w+) in (\d+) files?", before)
    if counted:
        return f"{counted[0]}."
    named = re.search(r"(\d+) files?", before)
    if named:
        return f"{named[0]}."
    raise Unusable("the answer before has no count")


def open_it(run: Run) -> str:
    named = re.search(r"`([^`\s]+\.\w+)`", _before(run).answer.partition(": ")[2])
    if named is None:
        raise Unusable("the answer before names no file")
    run.slots = {"file": named[1]}
    return read(run)


def thanks(run: Run) -> str:
    _before(run)
    return "You're welcome."


def absent(tool: str) -> str:
    """What to say when the tool that a question needs is not offered."""
    if tool in ("write_file", "edit_file"):
        return f"I can't change files here: the tool `{tool}` is not offered."
    return f"I can't look into the files here: the tool `{tool}` is not offered."
