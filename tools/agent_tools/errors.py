"""The two failures a tool reports; everything else is a bug of ours."""


class ToolError(Exception):
    """What went wrong and what to do, in words for the model."""


class ToolUnavailable(ToolError):
    """A program that the tool stands on is missing on this machine."""
