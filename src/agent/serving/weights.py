"""Weights from disk: what is loaded, in which precision, and under which name and hash."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.serving import lean
from agent.serving.blas import use_fast_blas
from agent.serving.tokenizer import Tokenizer

EMBEDDED = "embedded"
SMALL = 1_500_000_000
"""Up to this many parameters a model is kept in fp32 on a CPU, where other types are slow."""
TINY = 100_000_000
"""Up to this many, see `Served.tiny`."""

_IDENTITY_FILES = re.compile(
    r"(model.*\.safetensors|adapters\.safetensors|(adapter_)?config\.json|generation_config\.json"
    r"|tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab\..*|merges\.txt"
    r"|chat_template\..*)"
)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class LoadError(Exception):
    """A model that cannot be served; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Identity:
    """The id a model answers to, and the hash of everything that decides what it answers."""

    id: str
    weights: str


@dataclass(frozen=True)
class Served:
    """A loaded model. `window`: context in tokens; `width`: number of logits.

    `copy_bonus`: see `agent.serving.copying`; 0 unless the model's generation config sets it.
    `tiny`: of so few parameters that a token's matrix products are not worth a second thread.
    """

    model: Any
    tokenizer: Tokenizer
    identity: Identity
    window: int
    width: int
    copy_bonus: float = 0.0
    tiny: bool = False


def model_id(ref: str, adapter: str | None = None) -> str:
    """The id that a reference is served under."""
    name = ref if ref == EMBEDDED or _is_hub_id(ref) else Path(ref).resolve().name
    return f"{name}+{Path(adapter).resolve().name}" if adapter else name


def check(ref: str, adapter: str | None = None) -> None:
    """Find out cheaply, without MLX, what cannot be a model. Raises LoadError."""
    if not _is_hub_id(ref):
        folder = _local_folder(ref)
        if not folder.is_dir():
            raise LoadError(f"no model at {folder}: give --model a folder, or an id like org/name")
        for pattern in ("config.json", "model*.safetensors"):
            if not any(folder.glob(pattern)):
                raise LoadError(f"{folder} is not an MLX model folder: it has no {pattern}")
    if adapter is not None:
        for name in ("adapter_config.json", "adapters.safetensors"):
            if not (Path(adapter) / name).is_file():
                raise LoadError(f"{adapter} is not an adapter folder: it has no {name}")


def load(ref: str = EMBEDDED, adapter: str | None = None) -> Served:
    """Load a model with its tokenizer and adapter, in the calling thread.

    `ref`: "embedded", a folder, or a Hugging Face id. Raises LoadError.
    """
    check(ref, adapter)
    use_fast_blas()
    try:
        folder = _download(ref) if _is_hub_id(ref) else _local_folder(ref)
        return _load_folder(folder, model_id(ref, adapter), adapter)
    except (LoadError, MemoryError):
        raise
    except Exception as error:  # mlx-lm raises whatever a broken folder makes it stumble over
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise LoadError(f"the model {ref} cannot be loaded: {reason}") from error


def _load_folder(folder: Path, name: str, adapter: str | None) -> Served:
    if plain := lean.suits(folder):
        lean.import_mlx_lm()
    else:
        lean.make_full()
    from mlx_lm.utils import get_total_parameters, load_model

    model, config = load_model(folder)
    if adapter is not None:
        from mlx_lm.tuner.utils import load_adapters

        model = load_adapters(model, adapter)
    model.eval()
    parameters = get_total_parameters(model)  # type: ignore[no-untyped-call]
    _widen_on_cpu(model, parameters)
    tokenizer = Tokenizer(
        _tokenizer(folder, plain, config.get("eos_token_id")),
        configured_ends=_configured_ends(folder),
    )
    if not tokenizer.has_template:
        raise LoadError(f"the model {name} has no chat template, so it cannot chat")
    text_config = config.get("text_config") or config
    return Served(
        model=model,
        tokenizer=tokenizer,
        identity=Identity(name, _digest(folder, adapter)),
        window=int(text_config.get("max_position_embeddings") or 4096),
        width=int(text_config.get("vocab_size") or tokenizer.size),
        copy_bonus=float(_configuration(folder, "generation_config.json").get("copy_bonus") or 0),
        tiny=parameters <= TINY,
    )


def _tokenizer(folder: Path, plain: bool, ends: int | list[int] | None) -> Any:
    if plain:
        return lean.LeanTokenizer(folder, ends)
    from mlx_lm.tokenizer_utils import load as load_tokenizer

    return load_tokenizer(folder, eos_token_ids=ends)


def _widen_on_cpu(model: Any, parameters: int) -> None:
    """fp32 for a small model on a CPU: products of other types are up to 80 times slower."""
    import mlx.core as mx
    from mlx_lm.utils import dequantize_model

    if mx.default_device() != mx.cpu or parameters > SMALL:
        return
    if any(hasattr(module, "scales") for _, module in model.named_modules()):
        dequantize_model(model)
    model.set_dtype(mx.float32)
    mx.eval(model.parameters())


def _configured_ends(folder: Path) -> list[int]:
    ends: list[int] = []
    for name in ("config.json", "generation_config.json"):
        found = _configuration(folder, name).get("eos_token_id")
        ends += found if isinstance(found, list) else [found] if isinstance(found, int) else []
    return ends


def _configuration(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def _digest(folder: Path, adapter: str | None) -> str:
    total = hashlib.sha256()
    for path in _identity_files(folder, adapter):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name} {content}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _identity_files(folder: Path, adapter: str | None) -> Iterator[Path]:
    for place in (folder, *([Path(adapter)] if adapter else [])):
        yield from sorted(p for p in place.iterdir() if _IDENTITY_FILES.fullmatch(p.name))


def disk_bytes(ref: str = EMBEDDED, adapter: str | None = None) -> int:
    """The size of the files that make up a model. Raises LoadError when there is none."""
    folder = _download(ref) if _is_hub_id(ref) else _local_folder(ref)
    return sum(path.stat().st_size for path in _identity_files(folder, adapter))


def signature(ref: str, adapter: str | None = None) -> str:
    """Changes whenever a file of the model does; cheap, for telling a stale server."""
    folder = None if _is_hub_id(ref) else _local_folder(ref)
    adapted = Path(adapter).resolve() if adapter else None
    state = hashlib.sha256(f"{folder or ref} {adapted}".encode())
    if folder is not None:
        for path in _identity_files(folder, adapter):
            stat = path.stat()
            state.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return state.hexdigest()[:16]


def _local_folder(ref: str) -> Path:
    if ref == EMBEDDED:
        return Path(__file__).parent.parent / "embedded"
    return Path(ref).expanduser().resolve()


def _is_hub_id(ref: str) -> bool:
    """A folder of that name wins, as everywhere in MLX."""
    return bool(_HUB_ID.fullmatch(ref)) and not ref.startswith(".") and not Path(ref).exists()


def _download(ref: str) -> Path:
    from mlx_lm.utils import _download as download

    try:
        return Path(download(ref))
    except Exception as error:  # many ways to be offline, missing or forbidden
        raise LoadError(
            f"the model {ref} could not be downloaded; check the name and the network,"
            " or name a folder on this machine with --model PATH"
        ) from error
