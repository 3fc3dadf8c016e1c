"""A right call made from a set's own answers, to see that such a call is possible at all.

Some answers of the sets do not fit the schemas that come with them; a model that calls as it was
told cannot be right there, so the contents of its calls are not checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent_evals.public.cases import PublicCase, Wanted
from agent_evals.public.schema import Offered


def possible(cases: Sequence[PublicCase]) -> tuple[tuple[PublicCase, ...], list[str]]:
    """The cases, without the wanted calls that cannot be made; the ids of those cases."""
    impossible = {case.id for case in cases if not _can_be_right(case)}
    kept = (
        replace(case, expected=replace(case.expected, calls=())) if case.id in impossible else case
        for case in cases
    )
    return tuple(kept), sorted(impossible)


def _can_be_right(case: PublicCase) -> bool:
    alternatives = case.expected.calls
    return not alternatives or any(
        all(gold(wanted, case.tools) is not None for wanted in calls) for calls in alternatives
    )


def gold(wanted: Wanted, tools: Sequence[Offered]) -> dict[str, Any] | None:
    """Arguments that are acceptable and fit the tool's schema; None where there are none.

    Of the acceptable values the first is taken, and what may be left out is, unless the schema
    requires it. `{}` where the arguments are not checked.
    """
    tool = next((tool for tool in tools if tool.name == wanted.name), None)
    if tool is None:
        return None
    if wanted.arguments is None:
        return {}
    arguments = _object(wanted.arguments, tool.parameters.get("required", ()))
    return None if tool.problem(arguments) else arguments


def _object(acceptable: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, values in acceptable.items():
        listed = values if isinstance(values, list) else [values]
        real = [value for value in listed if value != ""]
        if real and ("" not in listed or key in required):
            made[key] = _value(real[0])
    return made


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _object(value, ())
    return [_value(part) for part in value] if isinstance(value, list) else value
