"""What Tab offers: commands after `/`, files of the codebase after `@`."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

_MENTION = re.compile(r"(?:^|\s)@(\S*)$")
_OFFERED = 30
_FRESH_SECONDS = 5.0


def may_complete(text: str) -> bool:
    """Whether anything may be offered after this text."""
    return text.startswith("/") or _MENTION.search(text) is not None


class Words(Completer):
    """`commands`: name -> one line of meaning. `arguments(name)`: the same of what may follow.

    `files()`: paths of the codebase; asked again when the list is a few seconds old.
    """

    def __init__(
        self,
        commands: Mapping[str, str],
        arguments: Callable[[str], Mapping[str, str]],
        files: Callable[[], Sequence[str]],
    ) -> None:
        self._commands = commands
        self._arguments = arguments
        self._files = files
        self._known: Sequence[str] = ()
        self._listed = float("-inf")

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if mention := _MENTION.search(text):
            return self._paths(mention[1])
        if text.startswith("/") and "\n" not in text:
            return self._command(text)
        return ()

    def _command(self, text: str) -> Iterator[Completion]:
        name, space, rest = text[1:].partition(" ")
        if space:
            for argument, meaning in self._arguments(name).items():
                if argument.startswith(rest):
                    yield Completion(argument, start_position=-len(rest), display_meta=meaning)
            return
        for command, meaning in self._commands.items():
            if command.startswith(name):
                yield Completion(f"/{command}", start_position=-len(text), display_meta=meaning)

    def _paths(self, begun: str) -> Iterator[Completion]:
        if time.monotonic() - self._listed > _FRESH_SECONDS:
            self._known, self._listed = self._files(), time.monotonic()
        for path in matching(begun, self._known)[:_OFFERED]:
            yield Completion(f"@{path}", start_position=-len(begun) - 1)


def matching(begun: str, paths: Sequence[str]) -> list[str]:
    """The paths that fit what was typed: by beginning, by file name, then anywhere."""
    wanted = begun.lower()

    def rank(path: str) -> int:
        lowered = path.lower()
        if lowered.startswith(wanted):
            return 0
        return 1 if lowered.rpartition("/")[2].startswith(wanted) else 2

    return sorted((path for path in paths if wanted in path.lower()), key=lambda p: (rank(p), p))
