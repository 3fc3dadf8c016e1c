"""One background endpoint per model, shared by every caller and gone after an idle time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Background:
    """A background endpoint as its private state file tells it."""

    base_url: str
    token: str
    model: str
    weights: str
    pid: int
    started: float
    keep_alive: float


def find_or_start(
    ref: str, adapter: str | None = None, keep_alive: float = 300.0
) -> Background:
    """The running endpoint for this model, or a new one that exits after `keep_alive` idle seconds.

    Blocks until it answers. Two callers at once get the same one. Raises LoadError with the
    reason when the model cannot be loaded.
    """
    raise NotImplementedError


def ps() -> list[Background]:
    """Every background endpoint that is alive; forgotten state files are removed on the way."""
    raise NotImplementedError


def stop(model: str | None = None) -> list[Background]:
    """Stop the background endpoints of `model` (id or reference), or all; returns those stopped."""
    raise NotImplementedError
