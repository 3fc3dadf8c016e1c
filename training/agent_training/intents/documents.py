"""Files read whole or in part, and facts about the project that its documents state."""

import re

from agent_training import patterns, results
from agent_training.intents.describing import describe, heading, paragraph
from agent_training.intents.wording import code, extent, listed, plural, span
from agent_training.oracle import Run, Unusable
from agent_training.results import Excerpt, Matches


def _unreadable(result: str) -> str:
    return first_line(result.removeprefix("Error: "))


def first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _read(run: Run, **arguments: object) -> Excerpt | str:
    result = run.call("read_file", path=run.slot("file", "phpfile"), **arguments)
    part = results.excerpt(result)
    if part is None and not result.startswith("Error"):
        raise Unusable("nothing to read")
    return part or _unreadable(result)


def read(run: Run) -> str:
    part = _read(run)
    if isinstance(part, str):
        return part
    return f"{extent(part)}. {describe(part.path, part.lines)}".strip()


def count_lines(run: Run) -> str:
    part = _read(run)
    return part if isinstance(part, str) else f"`{part.path}` has {plural(part.total, 'line')}."


def read_lines(run: Run) -> str:
    start, end = int(run.slot("line")), int(run.slot("line2"))
    part = _read(run, **({"end": end} if start == 1 else {"start": start, "end": end}))
    if isinstance(part, str):
        return part
    return f"{extent(part)}:\n{_quoted(part)}"


def read_line(run: Run) -> str:
    line = int(run.slot("line"))
    part = _read(run, **({"end": line} if line == 1 else {"start": line, "end": line}))
    if isinstance(part, str):
        return part
    if len(part.lines) == 1 and not part.lines[0].strip():
        return f"Line {line} of `{part.path}` is empty."
    return f"Line {line} of `{part.path}`: {span(part.lines[0].strip())}"


def read_head(run: Run) -> str:
    part = _read(run, end=int(run.slot("n")))
    return part if isinstance(part, str) else f"{extent(part)}:\n{_quoted(part)}"


def _quoted(part: Excerpt) -> str:
    return code(part.lines, through_blanks=True)


def about(run: Run) -> str:
    total, shown = results.files(run.call("find_files", glob=patterns.README))
    if not total:
        return _about_without_readme(run)
    path = min(shown, key=lambda name: name.count("/"))
    if path != shown[0]:
        raise Unusable("the README is not the first one")
    part = results.excerpt(run.call("read_file", path=path))
    if part is None:
        raise Unusable("README not readable")
    said = ". ".join(text for text in (heading(part.lines), paragraph(part.lines)) if text)
    if not said:
        raise Unusable("README says nothing in its first part")
    return f"{said} (`{path}`)."


def _about_without_readme(run: Run) -> str:
    total, shown = results.files(run.call("find_files", glob="*"))
    named = listed([f"`{path}`" for path in shown], total)
    return f"There is no README here. {plural(total, 'file')}{named}."


def license(run: Run) -> str:
    total, shown = results.files(run.call("find_files", glob=patterns.LICENSE))
    if not total:
        return "I found no licence file."
    part = results.excerpt(run.call("read_file", path=shown[0]))
    if part is None:
        raise Unusable("licence not readable")
    for line in part.lines:
        if match := re.search(r"\b(MIT|BSD|Apache|GNU|ISC|Mozilla)\b", line, re.I):
            text = " ".join(line.split())
            if len(text) <= 100 and match:
                return f"{span(text)} (`{shown[0]}`)."
    raise Unusable("the licence is not named in the first part")


def _manifest(run: Run, pattern: str, nothing: str) -> str:
    result = run.call("grep", pattern=pattern, glob=patterns.MANIFESTS)
    return _quoted_hits(results.matches(result)) or nothing


def _quoted_hits(found: Matches) -> str:
    """The first lines that say something, each with its place."""
    hits = [hit for hit in found.hits if hit.text[-1:] not in "[{("] or list(found.hits)
    return ", ".join(f"{span(hit.text)} ({hit.place})" for hit in hits[:2]) + "." if hits else ""


def version(run: Run) -> str:
    if said := _manifest(run, patterns.VERSION, ""):
        return said
    found = results.matches(run.call("grep", pattern=patterns.VERSION_IN_CODE))
    return _quoted_hits(found) or "I found no version."


def authors(run: Run) -> str:
    return _manifest(run, "(?i)author|email", "No manifest names an author.")


def runtime_version(run: Run) -> str:
    pattern = r'requires-python|python_requires|"php"|"node"|^go '
    return _manifest(run, pattern, "No manifest states the version it needs.")


def entry_point(run: Run) -> str:
    pattern = r'scripts|entry_points|"main"|"bin"'
    return _manifest(run, pattern, "No manifest names an entry point.")


def uses_package(run: Run) -> str:
    name = run.slot("package", "module")
    call = {"pattern": patterns.literal(name), "glob": patterns.MANIFESTS}
    found = results.matches(run.call("grep", **call))
    if not found.total:
        return f"No, no manifest names `{name}`."
    return f"Yes: {span(found.hits[0].text)} ({found.hits[0].place})."


def install(run: Run) -> str:
    found = results.matches(run.call("grep", pattern=patterns.INSTALL, glob=patterns.DOCUMENTS))
    if not found.total:
        return "I found no install command in the documents."
    hit = next((hit for hit in found.hits if re.search(patterns.INSTALL, hit.text)), None)
    if hit is None:
        raise Unusable("no install command to quote")
    return f"{span(hit.text.strip('`$ '))} ({hit.place})."


def dependencies(run: Run) -> str:
    pattern = r'dependencies|install_requires|"require"|^require'
    found = results.matches(run.call("grep", pattern=pattern, glob=patterns.MANIFESTS))
    if not found.total:
        return "No manifest lists dependencies."
    hit = found.hits[0]
    arguments = {"path": hit.path} | ({"start": hit.line} if hit.line > 1 else {})
    part = results.excerpt(run.call("read_file", **arguments))
    if part is None:
        raise Unusable("manifest not readable")
    names: list[str] = []
    for line in part.lines[1:]:
        if re.match(r"\s*[\])}]", line):
            break
        if match := re.match(r"\s*[\"']?([A-Za-z@][\w./@-]+)", line):
            names.append(f"`{match.group(1)}`")
    if not names:
        return f"{span(hit.text)} ({hit.place}) lists none."
    return f"The dependencies start at {hit.place}: " + ", ".join(names[:8]) + "."
