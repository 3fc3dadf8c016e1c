"""`agent train`: make a model from a recipe."""

from __future__ import annotations

import argparse
import math
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# glibc gives freed blocks back to the system after every batch of another shape; keeping them
# makes training on a CPU half as fast again.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(32 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 a stage failed, 2 wrong usage or something is missing."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["export"]:
        return _export(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="agent train",
        description="Train a model from a recipe, from scratch, on this machine.",
        epilog="`agent train export --gguf FILE` writes a model for llama.cpp.",
    )
    parser.add_argument("recipe", type=Path, help="a file like training/recipes/embedded.toml")
    parser.add_argument("--work", type=Path, default=Path(".training"), help="stages' files")
    parser.add_argument("--out", type=Path, default=None, help="model folder to write")
    parser.add_argument(
        "--max-minutes", type=float, default=math.inf, help="limit of each training phase"
    )
    parser.add_argument(
        "--backend",
        choices=("torch", "mlx"),
        default="mlx" if sys.platform == "darwin" else "torch",
        help="mlx on Apple Silicon, torch on a CPU (default: by platform)",
    )
    options = parser.parse_args(arguments)
    if not options.recipe.is_file():
        print(f"agent train: there is no recipe {options.recipe}", file=sys.stderr)
        return 2
    if options.backend == "torch" and find_spec("torch") is None:
        how = f"uv pip install --python {sys.executable} torch==2.13.0"
        print(f"agent train: PyTorch is missing: {how}, or use --backend mlx.", file=sys.stderr)
        return 2
    if sys.platform == "linux" and any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        command = [sys.executable, "-m", "agent_training.cli", *arguments]
        os.execve(sys.executable, command, os.environ | ALLOCATOR)
    from agent_training.loop import TrainingError
    from agent_training.pipeline import Pipeline

    try:
        pipeline = Pipeline(options.recipe, options.work, options.backend, options.max_minutes)
        pipeline.run(options.out or options.work / "model")
    except (TrainingError, RuntimeError, OSError) as error:
        print(f"agent train: {error}", file=sys.stderr)
        return 1
    return 0


def _export(arguments: list[str]) -> int:
    import agent
    from agent import installing

    embedded = Path(agent.__file__).parent / "embedded"
    parser = argparse.ArgumentParser(
        prog="agent train export", description="Write a model that was made here for llama.cpp."
    )
    parser.add_argument("--gguf", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        *("-m", "--model"), type=Path, default=embedded, help="model folder (default: embedded)"
    )
    options = parser.parse_args(arguments)
    if find_spec("gguf") is None:
        how = installing.command("gguf")
        print(f"agent train: `agent train export` needs its extra: {how}.", file=sys.stderr)
        return 2
    from agent_training import gguf

    try:
        gguf.write(options.model, options.gguf)
    except (ValueError, OSError) as error:
        print(f"agent train: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
