"""Lists and counts: classes, functions, tests, files, folders."""

import re
from collections.abc import Callable

from agent_training import patterns, results
from agent_training.intents.wording import listed, named_places, places, plural, span
from agent_training.mine import LANGUAGES
from agent_training.oracle import Run, Unusable
from agent_training.results import Hit, Matches

_NAMES = {
    "class": re.compile(r"\bclass\s+(\w+)"),
    "function": re.compile(r"\b(?:def|function|func|fn)\s+(?:\([^)]*\)\s*)?&?(\w+)"),
    "interface": re.compile(r"\b(?:interface|trait|type)\s+(\w+)"),
    "test": re.compile(r"\b(?:def|function|func)\s+(\w+)|\b(?:it|test)\(['\"]([^'\"]+)"),
}
_LISTED = {
    "class": patterns.CLASSES,
    "function": patterns.FUNCTIONS,
    "interface": patterns.INTERFACES,
    "test": patterns.TESTS,
}
_ENV_NAME = re.compile(r"['\"]([A-Z][A-Z0-9_]{2,})['\"]|\benv\.([A-Z][A-Z0-9_]{2,})")


def _search(run: Run, pattern: str) -> Matches:
    return results.matches(run.call("grep", pattern=pattern, **run.where))


def _scope(run: Run) -> str:
    place = run.where.get("path")
    return f"`{place}`" if place else "this codebase"


def lister(noun: str) -> Callable[[Run], str]:
    def answer(run: Run) -> str:
        found = _search(run, _LISTED[noun])
        if not found.total:
            return f"I found no {plural(0, noun)[2:]} in {_scope(run)}."
        return named_places(found, noun, _named(noun, found)) + "."

    return answer


def counter(noun: str) -> Callable[[Run], str]:
    def answer(run: Run) -> str:
        found = _search(run, _LISTED[noun])
        if not found.total:
            return f"There are no {plural(0, noun)[2:]} in {_scope(run)}."
        return f"{plural(found.total, noun)} in {plural(found.files, 'file')}."

    return answer


def _named(noun: str, found: Matches) -> list[tuple[str, Hit]]:
    searched = ((_NAMES[noun].search(hit.text), hit) for hit in found.hits)
    return [(next(filter(None, match.groups())), hit) for match, hit in searched if match]


def list_todos(run: Run) -> str:
    found = _search(run, patterns.TODOS)
    if not found.total:
        return f"I found no TODO or FIXME in {_scope(run)}."
    return places(found) + "."


def count_todos(run: Run) -> str:
    found = _search(run, patterns.TODOS)
    if not found.total:
        return f"There are no TODO or FIXME comments in {_scope(run)}."
    return f"{plural(found.total, 'TODO comment')} in {plural(found.files, 'file')}."


def list_env(run: Run) -> str:
    found = _search(run, patterns.ENVIRONMENT)
    if not found.total:
        return f"I found no environment variables in {_scope(run)}."
    names = dict.fromkeys(
        m.group(1) or m.group(2) for hit in found.hits if (m := _ENV_NAME.search(hit.text))
    )
    if not names:
        return f"The environment is read here: {places(found)}."
    shown = ", ".join(f"`{name}`" for name in list(names)[:5])
    return f"{shown}. The environment is read here: {places(found)}."


def find(glob: str, what: str) -> Callable[[Run], str]:
    """Files of one fixed kind; `what` names the kind in the answer."""

    def answer(run: Run) -> str:
        return files_of(run, glob, what)

    return answer


def find_file(run: Run) -> str:
    name = run.slot("filename", "file")
    return files_of(run, name, f"file named `{name}`")


def exists_file(run: Run) -> str:
    name = run.slot("filename", "file")
    total, shown = results.files(run.call("find_files", glob=name))
    if not total:
        return f"No, there is no file named `{name}`."
    return f"Yes, {plural(total, 'file')}" + listed([f"`{path}`" for path in shown], total) + "."


def extension(run: Run) -> str:
    if "language" in run.slots:
        return LANGUAGES[run.slots["language"]]
    return run.slot("ext").lstrip(".")


def find_ext(run: Run) -> str:
    suffix = extension(run)
    return files_of(run, f"*.{suffix}", f"`.{suffix}` file")


def list_dir(run: Run) -> str:
    folder = run.slot("dir").rstrip("/")
    return files_of(run, f"{folder}/*", f"file in `{folder}`")


def list_root(run: Run) -> str:
    return files_of(run, "/*", "file at the top level")


def files_of(run: Run, glob: str, what: str) -> str:
    result = run.call("find_files", glob=glob)
    total, shown = results.files(result)
    if result.startswith("Error"):
        raise Unusable("the glob was refused")
    if not total:
        return f"I found no {what}."
    return f"{plural(total, 'file')}" + listed([f"`{path}`" for path in shown], total) + "."


def count_files(run: Run) -> str:
    if "ext" in run.slots or "language" in run.slots:
        glob = f"*.{extension(run)}"
    elif "dir" in run.slots:
        glob = f"{run.slots['dir'].rstrip('/')}/**"
    else:
        glob = "*"
    total, _ = results.files(run.call("find_files", glob=glob))
    return f"{plural(total, 'file')}."


def languages(run: Run) -> str:
    total, shown = results.files(run.call("find_files", glob=patterns.SOURCES))
    if not total:
        return "I found no source files of a language I know."
    endings = dict.fromkeys(path.rpartition(".")[2] for path in shown)
    named = [name for name, suffix in LANGUAGES.items() if suffix in endings]
    if not named:
        raise Unusable("no language to name")
    return f"{' and '.join(named)}: {plural(total, 'source file')}, such as `{shown[0]}`."


def test_framework(run: Run) -> str:
    found = _search(run, patterns.TEST_FRAMEWORKS)
    if not found.total:
        return "I found no test framework."
    for hit in found.hits:
        if match := re.search(patterns.TEST_FRAMEWORKS, hit.text):
            return f"{span(match.group(0))}: {places(found)}."
    raise Unusable("no framework to name")
