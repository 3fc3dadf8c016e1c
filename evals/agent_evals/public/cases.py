"""One request of a public set, and what a right reply to it is, as plain data.

The label is what the decision is about: "tool", a call is right; "direct", none is. What the answer
then has to say (ask, say that it cannot be done) is a check of the answer, so that every set has
positives and negatives, and their balanced accuracy means the same in all of them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from agent.exits import UsageError
from agent_evals.public.schema import Offered

Label = Literal["tool", "direct"]
Said = Literal["direct", "ask", "cannot"]


@dataclass(frozen=True)
class Wanted:
    """A right call. `arguments` gives each parameter's acceptable values; None: not checked.

    Among the values `""` says that the parameter may be left out. An object among them gives the
    acceptable values of each of its keys in the same way.
    """

    name: str
    arguments: Mapping[str, list[Any]] | None = None


@dataclass(frozen=True)
class Expected:
    """What a right reply is, beyond the decision that the label asks for.

    `calls`: alternatives, each of them all the calls of the reply in any order; none: every valid
    call is as good. `says`: the kinds of answer that are right; none: any. `mentions`: all groups
    must occur in the answer, each by any of its texts. `yes_no`: the reply is a Yes (a tool is
    needed) or a No in words.
    """

    calls: tuple[tuple[Wanted, ...], ...] = ()
    says: tuple[Said, ...] = ()
    mentions: tuple[tuple[str, ...], ...] = ()
    yes_no: bool = False


@dataclass(frozen=True)
class PublicCase:
    """One request. `fixture` names the set, `family` the tools offered: what cases have in common.

    `messages` have a role (system, user or assistant) and a content.
    """

    id: str
    fixture: str
    label: Label
    subtype: str
    messages: tuple[Mapping[str, str], ...]
    tools: tuple[Offered, ...]
    expected: Expected
    lang: str = "en"
    pair: str | None = None
    split: str = "test"

    @property
    def question(self) -> str:
        """What the user says last."""
        return next(m["content"] for m in reversed(self.messages) if m["role"] == "user")

    @property
    def family(self) -> str:
        """The same for cases that offer the same tools."""
        names = "\0".join(sorted(tool.name for tool in self.tools))
        return hashlib.sha256(names.encode()).hexdigest()[:12] if names else self.id

    @property
    def content(self) -> str:
        """All that a result depends on, as text."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    def as_row(self) -> dict[str, Any]:
        """What of a case every result row repeats."""
        names = ("id", "fixture", "question", "label", "subtype", "lang", "pair", "family", "split")
        return {name: getattr(self, name) for name in names}


def paired(cases: Sequence[PublicCase]) -> tuple[PublicCase, ...]:
    """The cases, with a pair for each question that is asked with and without the tool for it."""
    labels: dict[str, set[Label]] = {}
    for case in cases:
        labels.setdefault(case.question, set()).add(case.label)
    return tuple(
        replace(case, pair=hashlib.sha256(case.question.encode()).hexdigest()[:12])
        if len(labels[case.question]) > 1
        else case
        for case in cases
    )


@dataclass(frozen=True)
class PublicSuite:
    """The cases of a set, the hash of the files they are from, and what was left out and why."""

    name: str
    cases: tuple[PublicCase, ...]
    sha256: str
    notes: tuple[str, ...] = ()

    def of(self, split: str | None) -> tuple[PublicCase, ...]:
        """All cases: public sets are for testing.

        Raises:
            UsageError: another split is asked for.
        """
        if split not in (None, "test"):
            raise UsageError(f"--split: {self.name} has no {split} cases; it is all test.")
        return self.cases
