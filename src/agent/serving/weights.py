"""Weights from disk: what is loaded, in which precision, and under which name and hash."""


class LoadError(Exception):
    """A model that cannot be served; the message is one sentence that says what to do."""
