"""Questions about settings: what a key is set to, and setting it."""

from agent_training import patterns, results, settings
from agent_training.intents.changes import edited
from agent_training.intents.wording import places, span
from agent_training.oracle import Run, Unusable
from agent_training.results import Hit, Matches


def ask_key(run: Run) -> str:
    key = run.slot("key")
    found = _lines(run, key)
    if not found.total:
        return f"`{key}` does not occur in {_where(run)}."
    for hit in found.hits:
        setting = settings.parse(hit.path, hit.text)
        if setting and setting.key == key:
            return f"`{key}` is {span(setting.value)} ({hit.place})."
    return f"`{key}` occurs: {places(found)}."


def edit_key(run: Run) -> str:
    """Find the line first: its exact text is what gets replaced."""
    key, value = run.slot("key"), run.slot("value")
    found = _lines(run, key)
    if not found.total:
        return f"Nothing was changed: `{key}` does not occur in {_where(run)}."
    hit, setting = _setting(found, key)
    new = settings.changed(setting, value)
    result = run.call("edit_file", path=hit.path, old=hit.text, new=new)
    if result.startswith("Error"):
        raise Unusable("the line is not the only one of its kind")
    return edited(result)


def _lines(run: Run, key: str) -> Matches:
    return results.matches(run.call("grep", pattern=patterns.usages(key), **run.where))


def _where(run: Run) -> str:
    place = run.where.get("path")
    return f"`{place}`" if place else "this codebase"


def _setting(found: Matches, key: str) -> tuple[Hit, settings.Setting]:
    for hit in found.hits:
        setting = settings.parse(hit.path, hit.text)
        if setting and setting.key == key:
            return hit, setting
    raise Unusable("no line that sets the key is visible")
