"""Bytes to text and back, without loss: encoding, byte order mark and line endings stay."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from agent_tools.errors import ToolError

# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LABELS = {"latin-1": "Latin-1"}


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes become text: a codec and the mark in front."""

    codec: str
    mark: bytes = b""

    @property
    def label(self) -> str:
        """The encoding's name where a reader should know it; empty for plain UTF-8."""
        return "" if self.codec == "utf-8" else _LABELS.get(self.codec, self.codec.upper())

    def decode(self, data: bytes) -> str:
        """Text of bytes that `encodings_of` gave this encoding for."""
        return data[len(self.mark) :].decode(self.codec)

    def encode(self, text: str) -> bytes:
        """Bytes of a text, mark in front.

        Raises:
            ToolError: a character does not exist in this encoding.
        """
        try:
            return self.mark + text.encode(self.codec)
        except UnicodeEncodeError as error:
            bad = error.object[error.start]
            name = self.label or "UTF-8"
            raise ToolError(f"The file is {name}, which cannot hold {bad!a}.") from None


def encodings_of(start: bytes) -> Iterator[Encoding]:
    """The encodings to try, in order, for a file that begins with these bytes; none if binary."""
    for mark, codec in _MARKS:
        if start.startswith(mark):
            yield Encoding(codec, mark)
            return
    if b"\0" not in start:
        yield Encoding("utf-8")
        # Every byte is a Latin-1 character, so this one cannot fail, and goes back unchanged.
        yield Encoding("latin-1")


def decode(data: bytes) -> tuple[str, Encoding] | None:
    """A file's text and encoding, or None if it is binary."""
    for encoding in encodings_of(data):
        try:
            return encoding.decode(data), encoding
        except UnicodeDecodeError:
            continue
    return None


def newline_of(text: str) -> str:
    """The line ending that most lines have."""
    windows = text.count("\r\n")
    return "\r\n" if windows > text.count("\n") - windows else "\n"


def line_count(text: str) -> int:
    """How many lines a text has; a last line need not end."""
    return text.count("\n") + (not text.endswith("\n") and text != "")
