"""Changes to files, and the PHP syntax check."""

import re

from agent_training import patterns, results
from agent_training.intents.documents import first_line
from agent_training.intents.wording import listed, span
from agent_training.oracle import Run, Unusable


def write_text(run: Run) -> str:
    return _written(run.call("write_file", path=run.slot("newfile"), content=run.slot("content")))


def write_empty(run: Run) -> str:
    return _written(run.call("write_file", path=run.slot("newfile"), content=""))


def write_lines(run: Run) -> str:
    content = f"{run.slot('content')}\n{run.slot('content2')}"
    return _written(run.call("write_file", path=run.slot("newfile"), content=content))


def _written(result: str) -> str:
    if result.startswith("Error"):
        return "Nothing was written: " + first_line(result.removeprefix("Error: "))
    return first_line(result)


def edited(result: str) -> str:
    if result.startswith("Error"):
        return "Nothing was changed: " + first_line(result.removeprefix("Error: "))
    return first_line(result)


def edit_replace(run: Run) -> str:
    return _edit(run, run.slot("old"), run.slot("new"))


def edit_delete(run: Run) -> str:
    return _edit(run, run.slot("old"), "")


def _edit(run: Run, old: str, new: str) -> str:
    """In the file meant, where only its folder was left out; a misspelt one is for the user."""
    asked = run.slot("file")
    result = run.call("edit_file", path=asked, old=old, new=new)
    meant = results.meant(result)
    if meant and meant.endswith(f"/{asked}"):
        result = run.call("edit_file", path=meant, old=old, new=new)
    return edited(result)


def insert_after(run: Run) -> str:
    old = run.slot("old")
    return _edit(run, old, f"{old}\n{run.slot('content')}")


def insert_before(run: Run) -> str:
    old = run.slot("old")
    return _edit(run, old, f"{run.slot('content')}\n{old}")


def rename_in(run: Run) -> str:
    """Find the line first: its exact text is what gets replaced."""
    name = patterns.tail(run.slot("function", "class", "constant"))
    path = run.slot("file")
    found = results.matches(run.call("grep", pattern=patterns.usages(name), path=path))
    if not found.total:
        return f"Nothing was changed: `{name}` does not occur in `{path}`."
    if found.total > 1:
        raise Unusable("the name occurs more than once")
    [hit] = found.hits
    new = re.sub(rf"\b{re.escape(name)}\b", lambda _: run.slot("newname"), hit.text)
    return edited(run.call("edit_file", path=path, old=hit.text, new=new))


def change_line(run: Run) -> str:
    """Find the line first, in the file meant: its exact text is what gets replaced."""
    path, old = run.slot("file"), run.slot("line").strip()
    pattern = patterns.usages(patterns.tail(run.slot("symbol")))
    found = run.call("grep", pattern=pattern, path=path)
    meant = results.meant(found)
    if meant and meant.endswith(f"/{path}"):
        path, found = meant, run.call("grep", pattern=pattern, path=meant)
    if found.startswith("Error"):
        return edited(found)
    if results.showing(found, old) is None:
        raise Unusable(f"no result shows {old!r}")
    result = run.call("edit_file", path=path, old=old, new=run.slot("becomes").strip())
    if result.startswith("Error"):
        raise Unusable(result)
    return edited(result)


def edit_constant(run: Run) -> str:
    """Find the line first: its exact text is what gets replaced."""
    name, path, value = run.slot("constant"), run.slot("file"), run.slot("value")
    found = results.matches(run.call("grep", pattern=patterns.define(name), path=path))
    if not found.total:
        return f"Nothing was changed: I found no definition of `{name}` in `{path}`."
    line = found.hits[0].text
    if not re.match(rf"(?:\w+ )*{name}\b", line):
        raise Unusable("the constant is not set in a line of its own")
    new = re.sub(r"([:=]\s*)([^:=]+?)([;,]?)$", lambda m: m[1] + value + m[3], line, count=1)
    if new == line or not new.rstrip(";,").endswith(value):
        raise Unusable("the constant has no simple value")
    return edited(run.call("edit_file", path=path, old=line, new=new))


def lint_file(run: Run) -> str:
    return _linted(run, run.slot("phpfile", "file", "filename"))


def lint_dir(run: Run) -> str:
    return _linted(run, run.slot("dir").rstrip("/"))


def lint_all(run: Run) -> str:
    return _linted(run, ".")


def _linted(run: Run, path: str) -> str:
    result = run.call("php_lint", path=path)
    if meant := results.meant(result):
        result = run.call("php_lint", path=meant)
    lines = [line for line in results.visible_lines(result) if line[:1] != "["]
    if result.startswith("No PHP files"):
        return "There are no PHP files here." if path == "." else lines[0]
    if result.startswith("Error"):
        return first_line(result.removeprefix("Error: "))
    failing = [span(line.rpartition(" (")[0] or line) for line in lines[1:]]
    if not failing:
        return lines[0] + "."
    return lines[0] + listed(failing[:2], len(failing[:2])) + "."
