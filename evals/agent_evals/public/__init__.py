"""Public sets, from the user's own copy: `agent bench --suite bfcl:PATH` and its like.

Each set is a module with one function, `load(path) -> PublicSuite`.
"""

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path

from agent import installing
from agent.exits import UsageError
from agent_evals.public import gold
from agent_evals.public.cases import PublicSuite, paired

SETS = ("bfcl", "when2call", "metatool", "acebench")


def is_public(name: str) -> bool:
    """Whether the name of a suite asks for a public set."""
    return name.partition(":")[0] in SETS and ":" in name


def load(name: str) -> PublicSuite:
    """The set that `SET:PATH` names.

    Raises:
        UsageError: there is no path, what lies there is not that set (the sentence says what was
            expected), or the extra for the benchmark is not installed.
    """
    chosen, _, path = name.partition(":")
    if chosen not in SETS or not path:
        raise UsageError(f"--suite {name!r}: name your copy of the set, {SETS[0]}:PATH, say.")
    if importlib.util.find_spec("jsonschema") is None:
        raise UsageError(f"Public sets need an extra: {installing.command('bench')}.")
    suite: PublicSuite = importlib.import_module(f"agent_evals.public.{chosen}").load(
        Path(path).expanduser()
    )
    seen: set[str] = set()
    for case in suite.cases:
        if case.id in seen:
            raise UsageError(f"--suite {name!r}: the id {case.id!r} occurs twice.")
        seen.add(case.id)
    cases, impossible = gold.possible(suite.cases)
    notes = [*suite.notes]
    if impossible:
        notes.append(
            f"{suite.name}: {len(impossible)} of the answers do not fit their own tools "
            f"({impossible[0]}, say); what those calls contain is not checked."
        )
    return replace(suite, cases=paired(cases), notes=tuple(notes))
