"""What a server says of its models."""

import json
from pathlib import Path
from typing import Any

from agent import windows
from agent.doctor.probe import Probe


def names(listing: object) -> list[str] | None:
    """The ids in the answer of /models; None when it is no list of models."""
    if not isinstance(listing, dict) or not isinstance(listing.get("data"), list):
        return None
    return [str(model["id"]) for model in listing["data"] if _has_id(model)]


def entry(probe: Probe) -> dict[str, Any]:
    """What /models says of the model in use."""
    _, listing, _ = probe.get("/models")
    found = listing.get("data") if isinstance(listing, dict) else None
    models = [m for m in found if _has_id(m)] if isinstance(found, list) else []
    return next((m for m in models if m["id"] == probe.endpoint.model), {})


def claimed_window(probe: Probe) -> tuple[int | None, str]:
    """The context window in tokens, and who says so."""
    if (size := windows.window_in(entry(probe))) is not None:
        return size, "the server"
    if (size := _of_folder(probe.endpoint.model)) is not None:
        return size, "the model's config.json"
    return None, ""


def _of_folder(name: str) -> int | None:
    """Some servers name a model by its folder; where that is on this machine, it knows."""
    path = Path(name) / "config.json"
    if not Path(name).is_absolute() or not path.is_file():
        return None
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        size = (config.get("text_config") or config).get("max_position_embeddings")
    except (OSError, ValueError, AttributeError):
        return None
    return size if windows.is_size(size) else None


def _has_id(model: object) -> bool:
    return isinstance(model, dict) and isinstance(model.get("id"), str)
