"""What may reach the user of what a model writes, and whether it is an answer at all."""

import re

# Roles and ends of turn as templates spell them: <|im_end|>, <|eot_id|>, <end_of_turn>, ...
_MARKER = re.compile(
    r"<\|/?[A-Za-z][A-Za-z0-9_ -]{0,40}\|>"
    r"|<\uff5c[^\uff5c\n]{1,40}\uff5c>"
    r"|<(?:start|end)_of_turn>"
    r"|</s>"
    r"|\[/?INST\]"
)
_OPENING = re.compile(
    r"\s*(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|assistant\|>)"
    r"(?:assistant|model)?(?:<\|end_header_id\|>)?\s*"
)
# CSI, strings (OSC, DCS, SOS, PM, APC) up to their terminator, other escapes, C0 and C1 controls,
# the bidirectional overrides that make text read differently from what it is, and half characters.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])(?:[^\x07\x1b\x9c\n]|\x1b(?!\\))*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# A sequence that the next chunk may continue.
_UNFINISHED = re.compile(
    r"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])(?:[^\x07\x1b\x9c\n]|\x1b(?!\\))*"
    r"|\x1b[ -/]*"
    r"|`?<(?:\|[^|>\n]{0,42}\|?|\uff5c[^\uff5c\n]{0,40}\uff5c?|/s?|[a-z_]{0,13})?"
    r"|`?(?:<\|[^|>\n]{0,42}\|>|</s>)"
    r"|\[/?[INST]{0,4}"
    r"|`"
    r")\Z"
)
_HELD = 4096  # an escape sequence longer than this is dropped, not waited for

BLOCK = range(20, 1001)  # characters of a repeated block
TIMES = 3
RULER = 300  # characters from which a line of dashes, stars or the like is no ruler any more

_FENCE = re.compile(r"^[ \t]*(```|~~~).*$", re.MULTILINE)
_CALL_MARKUP = re.compile(
    r"<tool_call>|<function_call>|<function=|<invoke\b|\[TOOL_CALLS\]|<\|tool_call\|>|<\|python_tag\|>"
)
_CODE = re.compile(r"(```|~~~).*?(?:\1|\Z)|`[^`\n]*`", re.DOTALL)


def plain(text: str) -> str:
    """The text without anything that a terminal or a reader could be deceived by."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def encodable(text: str) -> str:
    """The text with `?` for half characters (lone surrogates), which no request can carry."""
    return text.encode("utf-8", "replace").decode()


class Cleaner:
    """Cleans streamed text; what may be half a marker or escape sequence waits for the rest.

    `ended` says that an end-of-turn marker came: what follows it is garbage and is dropped.
    """

    def __init__(self) -> None:
        self.ended = False
        self._held = ""
        self._started = False

    def feed(self, chunk: str) -> str:
        """What of the text so far is now safe to show."""
        if self.ended:
            return ""
        text = self._held + chunk
        held = _UNFINISHED.search(text)
        cut = held.start() if held else len(text)
        self._held = text[cut:]
        if len(self._held) > _HELD:
            self._held = self._held[:2]
        return self._clean(text[:cut])

    def finish(self) -> str:
        """What was held back, when nothing comes any more."""
        text, self._held = self._held, ""
        return "" if self.ended else self._clean(text)

    def _clean(self, text: str) -> str:
        text = plain(text)
        if not self._started:
            text = _OPENING.sub("", text, count=1) if _OPENING.match(text) else text
            self._started = bool(text.strip())
        for marker in _MARKER.finditer(text):
            if not _quoted(text, marker):
                self.ended = True
                return text[: marker.start()].rstrip()
        return text


def clean(text: str) -> str:
    """The whole text as `Cleaner` would give it."""
    cleaner = Cleaner()
    return cleaner.feed(text) + cleaner.finish()


def _quoted(text: str, marker: re.Match[str]) -> bool:
    """Whether the text talks about the marker (`<|im_end|>` in backticks) or closes a `<s>`."""
    if marker[0] == "</s>":
        return "<s>" in text[: marker.start()] or text[marker.end() :].strip() != ""
    return text[: marker.start()].endswith("`") and text[marker.end() :].startswith("`")


def repetition(text: str) -> int | None:
    """Where a text that ends in three equal blocks begins to repeat: the end of the first block.

    Call it while the text grows. Code fences, tables and rulers repeat legitimately and are left
    alone.
    """
    start = _prose_start(text)
    for size in BLOCK:
        block = text[-size:]
        times = TIMES if re.search(r"\w", block) else max(TIMES, RULER // size)
        first = len(text) - size * times
        if len(text) - size * TIMES < start:
            return None
        if first >= start and text.endswith(block * times):
            while first > start and text[first - 1] == text[first - 1 + size]:
                first -= 1
            return _sentence_start(text, first, size) + size
    return None


def _sentence_start(text: str, first: int, size: int) -> int:
    """The first start of a sentence among the `size` places where the repeated block may begin."""
    for place in range(first, first + size):
        if text[:place].endswith(("\n", ". ", "! ", "? ")):
            return place
    return first


def _prose_start(text: str) -> int:
    """Where the prose at the end of the text begins: after the last fence or table row."""
    fences = list(_FENCE.finditer(text))
    if len(fences) % 2:
        return len(text)
    start = fences[-1].end() if fences else 0
    row = text.rfind("\n|", start)
    if text.startswith("|", start):
        row = max(row, start)
    if row < 0:
        return start
    end = text.find("\n", row + 1)
    return len(text) if end < 0 else end


def has_call_markup(text: str) -> bool:
    """Whether an answer contains a tool call that nobody understood, outside of quoted code."""
    return bool(_CALL_MARKUP.search(_CODE.sub("", text)))
