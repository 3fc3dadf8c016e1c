"""Right or wrong: one reply held against its case.

A call counts as a decision to call only if it was parsed, names a tool that was offered and fits
its schema. A reply with nothing but unusable calls is malformed: neither a call nor an abstention.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent_evals.judge import Decision, Verdict, decide, malformed_calls, repeated_calls
from agent_evals.public.cases import PublicCase, Said, Wanted
from agent_evals.transcript import Call, Transcript

_PATH = re.compile(r"[/\\]|^\S+\.\w{1,5}$")
_YES_NO = re.compile(r"\W*(?:answer\W+)?(yes|no)\b", re.IGNORECASE)
_CODE = re.compile(r"(```|~~~).*?(?:\1|\Z)|`[^`\n]*`", re.DOTALL)
_OFFER = re.compile(
    r"\b(would you like|how (can|may) i|(can|may) i (help|assist)|anything else|shall i|should i)\b"
)
_QUESTION = re.compile(r"[^.!?\n]*\?")
_TO_THE_USER = re.compile(r"\b(you|your|which|what|when|where|who|how (many|much|long))\b")
_ASKS = re.compile(
    r"\b(please|could you|can you|kindly) (also |first )?"
    r"(provide|specify|tell|share|give|confirm|clarify|enter|supply|send|let me know|indicate)\b"
    r"|\b(i|we)('ll| will|'d| would)?( also| still)? (need|require) "
    r"(to know|more|the|your|some|a)\b"
    r"|\blet me know (the|your|which|what|when|where|how)\b"
    r"|\b(is|are) (missing|not specified|required)\b"
    r"|\bmissing (the |a )?[\w ]*\b(param|inform|value)"
    r"|请(您|你)?(先)?(提供|告诉|告知|说明|指定|确认|补充)|缺少|需要(您|你)"
)
_WIDE_MARK = "\N{FULLWIDTH QUESTION MARK}"
_CANNOT = re.compile(
    r"\b(can't|cannot|can not|couldn't|could not|unable|not able|not possible|impossible)\b"
    r"|\b(do not|don't|does not|doesn't) (currently )?"
    r"(have|support|provide|offer|include|allow|match)\b"
    r"|\b(no|none of the)\b[\w ,-]*\b(tools?|functions?|apis?)\b"
    r"|\blimitations? of\b|\bbeyond (my|the)\b|\boutside (of )?(my|the)\b"
    r"|\bnot (available|supported)\b"
    r"|\b(invalid|incorrect|not (a )?valid|malformed)\b"
    r"|无法|不能|没有(可用|合适|相关)|抱歉|不正确|无效"
)


def check(case: PublicCase, run: Transcript) -> Verdict:
    """The verdict on the reply to a case.

    `right_call` is None where no call is right or the set does not say which; `right_answer` where
    any answer will do.
    """
    decision = _in_words(run) if case.expected.yes_no else decide(run)
    wanted = max((len(calls) for calls in case.expected.calls), default=1)
    return Verdict(
        decision=decision,
        decided=decision == ("called" if case.label == "tool" else "answered"),
        right_call=_right_call(case, run),
        right_answer=_right_answer(case, decision, run.answer),
        repeated=repeated_calls(run.calls),
        malformed=malformed_calls(run),
        looped=False,
        excess=max(0, len(run.calls) - (wanted if case.label == "tool" else 0)),
    )


def _in_words(run: Transcript) -> Decision:
    """Yes stands for a call, No for an answer; a reply that says neither decides nothing."""
    if run.ended != "success":
        return decide(run)
    match = _YES_NO.match(run.answer)
    if match is None:
        return "malformed"
    return "called" if match[1].casefold() == "yes" else "answered"


def _right_call(case: PublicCase, run: Transcript) -> bool | None:
    if not case.expected.calls:
        return None
    if not all(call.valid for call in run.calls):
        return False
    return any(_same(wanted, run.calls) for wanted in case.expected.calls)


def _same(wanted: Sequence[Wanted], calls: Sequence[Call]) -> bool:
    """Whether the calls are the wanted ones, each once, in any order."""
    if not wanted or len(wanted) != len(calls):
        return not wanted and not calls
    return any(
        fits(wanted[0], call) and _same(wanted[1:], [*calls[:index], *calls[index + 1 :]])
        for index, call in enumerate(calls)
    )


def fits(wanted: Wanted, call: Call) -> bool:
    """Whether a call names the wanted tool and every argument has an acceptable value."""
    if call.name != wanted.name:
        return False
    return wanted.arguments is None or _object_fits(wanted.arguments, call.arguments)


def _object_fits(acceptable: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    return given.keys() <= acceptable.keys() and all(
        _acceptable(values, given[key]) if key in given else "" in _listed(values)
        for key, values in acceptable.items()
    )


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _acceptable(values: Any, given: Any) -> bool:
    return any(_equal(value, given) for value in _listed(values))


def _equal(value: Any, given: Any) -> bool:
    """Equal as what they mean: numbers by value, texts by `plain`, true and false by type."""
    if isinstance(value, dict):
        return isinstance(given, Mapping) and _object_fits(value, given)
    if isinstance(value, list):
        same_length = isinstance(given, list) and len(given) == len(value)
        return same_length and all(map(_equal, value, given))
    if isinstance(value, bool) or isinstance(given, bool):
        return value is given
    if isinstance(value, int | float) and isinstance(given, int | float):
        return math.isclose(value, given, rel_tol=1e-9)
    if isinstance(value, str) and isinstance(given, str):
        return plain(value) == plain(given)
    return bool(value == given)


def plain(text: str) -> str:
    """A text without what writers vary: blanks at the ends, in rows and around commas, and case.

    In what looks like a path or the name of a file nothing but the blanks around it is varied.
    """
    text = text.strip()
    if _PATH.search(text):
        return text
    return re.sub(r" ?, ?", ",", re.sub(r"\s+", " ", text)).casefold()


def _right_answer(case: PublicCase, decision: Decision, answer: str) -> bool | None:
    says, mentions = case.expected.says, case.expected.mentions
    if not says and not mentions:
        return None
    low = answer.casefold()
    return (
        decision == "answered"
        and (not says or said(answer) in says)
        and all(any(text.casefold() in low for text in group) for group in mentions)
    )


def said(answer: str) -> Said:
    """What an answer does, by its wording: ask for what is missing, say that it cannot, or answer.

    An answer that does both asks: what it cannot do, it could with the reply.
    """
    text = _CODE.sub(" ", answer).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    questions = (q[0] for q in _QUESTION.finditer(text))
    if (
        any(_TO_THE_USER.search(q) and not _OFFER.search(q) for q in questions)
        or _WIDE_MARK in text
    ):
        return "ask"
    if _ASKS.search(text):
        return "ask"
    return "cannot" if _CANNOT.search(text) else "direct"
