"""Questions about named symbols: where, who uses it, show it, what does it do."""

import re

from agent_training import patterns, results
from agent_training.intents import describing
from agent_training.intents.wording import at, code, listed, named_places, places, plural, span
from agent_training.oracle import Run, Unusable
from agent_training.results import Hit, Matches

SYMBOLS = ("function", "class", "constant", "symbol", "base", "class2")
_NAME_OF_CLASS = re.compile(r"\b(?:class|interface|trait)\s+(\w+)")
_EXTENDS = re.compile(
    r"\bextends\s+([\w\\., ]+?)(?=\s+implements|\s*\{|\s*$)|^class\s+\w+\(([^)]*)\)"
)
_IMPLEMENTS = re.compile(r"\bimplements\s+([\w\\, ]+)")
_VALUE = re.compile(r"[:=]=?\s*(?:[\w.\[\]| ]+=\s*)?(.+?)[;,]?$")


def subject(run: Run) -> str:
    return patterns.tail(run.slot(*SYMBOLS))


def _definitions(run: Run, name: str) -> Matches:
    return results.matches(run.call("grep", pattern=patterns.define(name), **run.where))


def _nothing(run: Run, name: str) -> str:
    """The honest answer after `No matches.`, the same for every question."""
    close = results.closest(run.calls[-1][2])
    named = [hit.place for hit in close if name.lower() in hit.text.lower()]
    if named:
        return f"I found no such thing; `{name}` occurs elsewhere: {', '.join(named)}."
    if results.matches(run.execute("grep", {"pattern": patterns.any_case(name)})).total:
        raise Unusable("it occurs, but not among the closest lines")
    said = f"`{name}` does not occur in this codebase."
    return f"{said} Closest: {', '.join(hit.place for hit in close[:2])}." if close else said


def define(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return _nothing(run, name)
    return _defined(name, found)


def _defined(name: str, found: Matches) -> str:
    if found.total == 1:
        return f"`{name}` is defined in {at(_first(found))}."
    return f"`{name}` is defined in {plural(found.total, 'place')}" + (
        listed([hit.place for hit in found.hits], found.total) + "."
    )


def _first(found: Matches) -> Hit:
    """The first hit that is code, not a comment."""
    for hit in found.hits:
        if not hit.text.startswith(("*", "/", "#")):
            return hit
    raise Unusable("no definition among the visible matches")


def usages(run: Run) -> str:
    name = subject(run)
    found = results.matches(run.call("grep", pattern=patterns.usages(name), **run.where))
    if not found.total:
        return _nothing(run, name)
    return f"`{name}`: {places(found)}."


def count_usages(run: Run) -> str:
    name = subject(run)
    found = results.matches(run.call("grep", pattern=patterns.usages(name), **run.where))
    if not found.total:
        return _nothing(run, name)
    counted = f"{plural(found.total, 'match')} in {plural(found.files, 'file')}"
    return f"`{name}` has {counted}."


def subclasses(run: Run) -> str:
    name = subject(run)
    found = results.matches(run.call("grep", pattern=patterns.subclasses(name), **run.where))
    if not found.total:
        return _nothing(run, name)
    names = [(m.group(1), hit) for hit in found.hits if (m := _NAME_OF_CLASS.search(hit.text))]
    return f"`{name}` is extended by {named_places(found, 'class', names)}."


def count_subclasses(run: Run) -> str:
    name = subject(run)
    found = results.matches(run.call("grep", pattern=patterns.subclasses(name), **run.where))
    if not found.total:
        return _nothing(run, name)
    return f"{plural(found.total, 'class')} in {plural(found.files, 'file')} extend `{name}`."


def exists_symbol(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return "No: " + _nothing(run, name)
    return "Yes. " + _defined(name, found)


def show_symbol(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return _nothing(run, name)
    return show(run, name, _first(found))


def show(run: Run, name: str, hit: Hit) -> str:
    part = results.excerpt(run.call("read_file", path=hit.path, start=hit.line))
    if part is None:
        raise Unusable("cannot read the definition")
    return f"`{name}` in {at(hit)}:\n{code(part.lines)}"


def explain_symbol(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return _nothing(run, name)
    hit = _first(found)
    part = results.excerpt(run.call("read_file", path=hit.path, start=hit.line))
    if part is None:
        raise Unusable("cannot read the definition")
    declared = f"`{name}` is defined in {at(hit)}"
    if said := describing.docstring(part.lines):
        return f"{declared}. {said}."
    names = [other for other in describing.defined(_body(part.lines)) if other != name]
    if _NAME_OF_CLASS.search(hit.text) and names:
        return f"{declared}. It has " + ", ".join(f"`{other}`" for other in names[:5]) + "."
    if returned := _returned(part.lines):
        return f"{declared}: {span(hit.text)}. It returns {span(returned)}."
    return f"{declared}: {span(hit.text)}. It has no description there."


def _body(lines: tuple[str, ...]) -> list[str]:
    """The lines that belong to the definition that the first line opens, by indentation."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    body: list[str] = []
    for line in lines[1:]:
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth <= indent and line.strip()[0] not in "{)":
            break
        body.append(line)
    return body


def _returned(lines: tuple[str, ...]) -> str:
    for line in _body(lines)[:15]:
        if match := re.match(r"\s*return\s+(.+?);?$", line):
            value = match.group(1)
            return value if value[-1] not in "([{,\\" else ""
    return ""


def methods_of(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return _nothing(run, name)
    hit = _first(found)
    part = results.excerpt(run.call("read_file", path=hit.path, start=hit.line))
    if part is None:
        raise Unusable("cannot read the definition")
    names = describing.defined(_body(part.lines))
    if not names:
        return f"I see no methods at the start of `{name}`, {at(hit)}."
    return f"`{name}` in {at(hit)} begins with: " + ", ".join(f"`{n}`" for n in names[:8]) + "."


def bases_of(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return _nothing(run, name)
    hit = _first(found)
    return f"{_relation(name, hit)} ({hit.place})."


def _relation(name: str, hit: Hit) -> str:
    extends = _EXTENDS.search(hit.text)
    bases = (extends.group(1) or extends.group(2) or "") if extends else ""
    implements = _IMPLEMENTS.search(hit.text)
    said = []
    if names := _split(bases):
        said.append("extends " + ", ".join(names))
    if implements and (names := _split(implements.group(1))):
        said.append("implements " + ", ".join(names))
    return f"`{name}` " + (" and ".join(said) or "extends nothing")


def _split(names: str) -> list[str]:
    return [f"`{name.strip()}`" for name in names.split(",") if name.strip()]


def signature_of(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return _nothing(run, name)
    hit = _first(found)
    if hit.text.count("(") > hit.text.count(")"):
        return show(run, name, hit)
    return f"`{name}` in {at(hit)}: {span(hit.text)}."


def value_of(run: Run) -> str:
    name = subject(run)
    found = _definitions(run, name)
    if not found.total:
        return _nothing(run, name)
    hit = _first(found)
    value = _VALUE.search(hit.text)
    if value is None or value.group(1)[-1] in "([{,\\.":
        raise Unusable("the value is not on one line")
    return f"`{name}` is {span(value.group(1))} ({hit.place})."


def compare_symbols(run: Run) -> str:
    said = []
    for slot in (("class", "function", "symbol"), ("class2", "function2")):
        name = patterns.tail(run.slot(*slot))
        found = _definitions(run, name)
        if not found.total:
            said.append(f"I found no definition of `{name}`.")
        elif _NAME_OF_CLASS.search(_first(found).text):
            said.append(f"{_relation(name, _first(found))} ({_first(found).place}).")
        else:
            said.append(f"`{name}` is {span(_first(found).text)} ({_first(found).place}).")
    return " ".join(said)


def importers(run: Run) -> str:
    module = run.slot("module")
    found = results.matches(run.call("grep", pattern=patterns.importers(module), **run.where))
    if not found.total:
        return _nothing(run, module)
    return f"`{module}` is imported: {places(found)}."


def text(run: Run) -> str:
    wanted = run.slot("string")
    found = results.matches(run.call("grep", pattern=patterns.literal(wanted), **run.where))
    if not found.total:
        return "I found this text nowhere in the codebase."
    return f"The text occurs: {places(found)}."


def feature(run: Run) -> str:
    word = run.slot("word")
    found = results.matches(run.call("grep", pattern=patterns.words(word), **run.where))
    if not found.total:
        return _nothing(run, word)
    if " " in word and found.hits:
        return f"{span(found.hits[0].text)} ({found.hits[0].place}). In all {places(found)}."
    return f"`{word}` occurs: {places(found)}."


def exists_feature(run: Run) -> str:
    said = feature(run)
    return ("No: " if "does not occur" in said or "no such thing" in said else "Yes: ") + said
