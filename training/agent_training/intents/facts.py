"""Facts about a project that its task files, its changelog and its code state."""

import re
from collections.abc import Callable

from agent_training import patterns, results
from agent_training.intents.documents import first_line
from agent_training.intents.wording import places, plural, span
from agent_training.oracle import Run, Unusable
from agent_training.results import Excerpt

_SHOWN = 8
_TARGET = re.compile(r"^([A-Za-z][\w.-]*)\s*:(?!=)")
_SCRIPTS = re.compile(r'^\s*"scripts"\s*:\s*\{')
_SCRIPT = re.compile(r'^\s*"([\w:.-]+)"\s*:')
_SECTION = re.compile(r"^\[testenv:?(.*)\]|^def (\w+)\(session")
_RELEASE = re.compile(
    r"^\W*(?:version |release |v)?\[?\d+\.\d+[\w.]*\b.*|^#+ *\[?unreleased.*", re.I
)


def scripts(path: str) -> Callable[[Run], str]:
    """What the task file `path` offers."""

    def answer(run: Run) -> str:
        return _tasks(run.call("read_file", path=path))

    return answer


def tasks(run: Run) -> str:
    total, shown = results.files(run.call("find_files", glob=patterns.TASKS))
    if not total:
        return "I found no file that defines tasks or scripts."
    return _tasks(run.call("read_file", path=min(shown, key=lambda path: path.count("/"))))


def _tasks(result: str) -> str:
    part = results.excerpt(result)
    if part is None:
        if not result.startswith("Error"):
            raise Unusable("nothing to read")
        return first_line(result.removeprefix("Error: "))
    names = list(dict.fromkeys(_names(part)))[:_SHOWN]
    if not names:
        return f"I see no tasks or scripts in `{part.path}`."
    return ", ".join(f"`{name}`" for name in names) + f" (`{part.path}`)."


def _names(part: Excerpt) -> list[str]:
    if part.path.endswith(".json"):
        return _scripts(part.lines)
    pattern = _TARGET if part.path.rpartition("/")[2] == "Makefile" else _SECTION
    found = (pattern.match(line) for line in part.lines)
    return [next(filter(None, match.groups()), "testenv") for match in found if match]


def _scripts(lines: tuple[str, ...]) -> list[str]:
    names: list[str] = []
    inside = False
    for line in lines:
        if inside and line.strip().startswith("}"):
            break
        if inside and (match := _SCRIPT.match(line)):
            names.append(match.group(1))
        inside = inside or bool(_SCRIPTS.match(line))
    return names


def changelog(run: Run) -> str:
    total, shown = results.files(run.call("find_files", glob=patterns.CHANGELOG))
    if not total:
        return "I found no changelog."
    part = results.excerpt(run.call("read_file", path=min(shown, key=lambda p: p.count("/"))))
    if part is None:
        raise Unusable("changelog not readable")
    lines = [line.strip() for line in part.lines if re.search(r"\w", line)]
    for number, line in enumerate(lines[:-1]):
        if _RELEASE.match(line):
            entry = next((other for other in lines[number + 1 :] if len(other.split()) > 2), "")
            return f"{span(line)}: {span(entry)} (`{part.path}`)." if entry else f"{span(line)}."
    raise Unusable("no release in the first part of the changelog")


def search(pattern: str, noun: str) -> Callable[[Run], str]:
    """Where one fixed pattern matches; `noun` names it in the answer."""

    def answer(run: Run) -> str:
        found = results.matches(run.call("grep", pattern=pattern, **run.where))
        if not found.total:
            return f"I found no {noun} here."
        quoted = ", ".join(span(hit.text) for hit in found.hits[:3] if len(hit.text) <= 60)
        return f"{plural(found.total, noun)}: {places(found)}" + (f": {quoted}." if quoted else ".")

    return answer


def database(run: Run) -> str:
    found = results.matches(run.call("grep", pattern=patterns.DATABASE))
    if not found.total:
        return "I found no database here."
    for hit in found.hits:
        if match := re.search(patterns.DATABASE, hit.text):
            return f"{span(match[0])}: {places(found)}."
    raise Unusable("no database to name")
