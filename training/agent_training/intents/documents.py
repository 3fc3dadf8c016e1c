"""Files read whole or in part, and facts about the project that its documents state."""

import re
from collections.abc import Sequence

from agent_training import patterns, results
from agent_training.intents.describing import closest, describe, heading, paragraph
from agent_training.intents.wording import code, extent, listed, plural, span
from agent_training.oracle import Run, Unusable
from agent_training.reserved import is_reserved
from agent_training.results import Excerpt, Hit, Matches


def _unreadable(result: str) -> str:
    return first_line(result.removeprefix("Error: "))


def first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _read(run: Run, **arguments: object) -> Excerpt | str:
    result = run.call(
        "read_file", path=run.slot("file", "phpfile", "filename", "docfile"), **arguments
    )
    if meant := results.meant(result):
        result = run.call("read_file", path=meant, **arguments)
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
    parts = (heading(part.lines).rstrip("!?."), paragraph(part.lines))
    said = ". ".join(text for text in parts if text)
    if not said:
        raise Unusable("README says nothing in its first part")
    return f"{said} (`{path}`)."


def readme(run: Run) -> str:
    """What the README says about it: the line that has most in common with the question."""
    total, shown = results.files(run.call("find_files", glob=patterns.README))
    if not total:
        return "There is no README here."
    part = results.excerpt(run.call("read_file", path=min(shown, key=lambda n: n.count("/"))))
    if part is None:
        raise Unusable("README not readable")
    return _said(run, part)


def ask_file(run: Run) -> str:
    part = _read(run)
    return part if isinstance(part, str) else _said(run, part)


def _said(run: Run, part: Excerpt) -> str:
    line = closest(part.lines, run.question)
    if line:
        return f"`{part.path}` says: {span(line)}."
    return f"{extent(part)}. {describe(part.path, part.lines)}".strip()


def compare_files(run: Run) -> str:
    said = []
    for slot in ("file", "file2"):
        part = results.excerpt(run.call("read_file", path=run.slot(slot)))
        if part is None:
            raise Unusable("nothing to read")
        said.append(f"{extent(part)}. {describe(part.path, part.lines)}".strip())
    return " ".join(said)


def _about_without_readme(run: Run) -> str:
    if said := _manifest(run, patterns.DESCRIBED, ""):
        return said
    total, shown = results.files(run.call("find_files", glob="*"))
    named = listed([f"`{path}`" for path in shown], total)
    return f"There is no README here. {plural(total, 'file')}{named}."


def license(run: Run) -> str:
    total, shown = results.files(run.call("find_files", glob=patterns.LICENSE))
    if not total:
        return _manifest(run, patterns.LICENSED, "I found no licence.")
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
    return _manifest(run, patterns.AUTHORS, "No manifest names an author.")


def runtime_version(run: Run) -> str:
    return _manifest(run, patterns.RUNTIME, "No manifest states the version it needs.")


def entry_point(run: Run) -> str:
    """A heading such as `[project.scripts]` says nothing yet: then read on from there."""
    call = {"pattern": patterns.ENTRY_POINT, "glob": patterns.MANIFESTS}
    found = results.matches(run.call("grep", **call))
    if not found.total:
        return "No manifest names an entry point."
    hit = found.hits[0]
    if hit.text[-1:] not in "[{(]":
        return f"{span(hit.text)} ({hit.place})."
    return f"`{hit.path}` from line {hit.line}:\n{code(_from(run, hit).lines)}"


def _from(run: Run, hit: Hit) -> Excerpt:
    start = {"start": hit.line} if hit.line > 1 else {}
    part = results.excerpt(run.call("read_file", path=hit.path, **start))
    if part is None:
        raise Unusable("manifest not readable")
    return part


def uses_package(run: Run) -> str:
    name = run.slot("package", "module")
    call = {"pattern": patterns.literal(name), "glob": patterns.MANIFESTS}
    found = results.matches(run.call("grep", **call))
    if not found.total:
        return f"No, no manifest names `{name}`."
    return f"Yes: {span(found.hits[0].text)} ({found.hits[0].place})."


def install(run: Run) -> str:
    found = results.matches(run.call("grep", pattern=patterns.INSTALL, glob=patterns.GUIDES))
    if not found.total:
        return "I found no install command in the documents."
    hit = next((hit for hit in found.hits if re.search(patterns.INSTALL, hit.text)), None)
    if hit is None:
        raise Unusable("no install command to quote")
    return f"{span(hit.text.strip('`$ '))} ({hit.place})."


def dependencies(run: Run) -> str:
    call = {"pattern": patterns.DEPENDENCIES, "glob": patterns.MANIFESTS}
    found = results.matches(run.call("grep", **call))
    if not found.total:
        return "No manifest lists dependencies."
    hit = found.hits[0]
    names = _dependency_names(_from(run, hit).lines)
    if not names:
        return f"{span(hit.text)} ({hit.place}) lists none."
    if any(is_reserved(name) for name in names):
        raise Unusable("a dependency is a reserved codebase")
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return f"The dependencies start at {hit.place}: {shown}."


def _dependency_names(lines: Sequence[str]) -> list[str]:
    inline = re.findall(r"[\"']([A-Za-z][\w.-]*)", lines[0].partition("[")[2])
    if inline or re.search(r"[\])}]\s*,?$", lines[0].partition("=")[2]):
        return inline
    names: list[str] = []
    for line in lines[1:]:
        if not line.strip() or re.match(r"\s*[\])}]", line):
            break
        if match := re.match(r"\s*[\"']?([A-Za-z@][\w./@-]+)", line):
            names.append(match.group(1))
    return names
