"""From a recipe to an embedded model, stage by stage; each stage leaves a file and is not redone.

rows -> corpus -> tokenizer -> pretrain -> instruct -> calibrate -> export, all below one folder.
Delete a stage's file to redo it and what follows.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from agent_training import corpus, phrasing
from agent_training.batches import Example
from agent_training.loop import Backend, Schedule
from agent_training.shape import Shape

Report = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Pipeline:
    """One recipe and the work directory of its stages; `backend` is `torch` or `mlx`."""

    recipe: Path
    work: Path
    backend: str = "torch"
    max_minutes: float = math.inf
    report: Report = print

    @property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads(self.recipe.read_text(encoding="utf-8"))

    def run(self, target: Path) -> None:
        """Every stage that has left no file yet, then the model folder `target`."""
        self.work.mkdir(parents=True, exist_ok=True)
        stages: list[tuple[str, Callable[[], None]]] = [
            ("rows/train.jsonl", self.build_rows),
            ("corpus.jsonl", self.build_corpus),
            ("tokenizer/tokenizer.json", self.build_tokenizer),
            ("pretrained.safetensors", self.pretrain),
            ("instructed.safetensors", self.instruct),
            ("calibrated.safetensors", self.calibrate),
        ]
        for product, stage in stages:
            if not (self.work / product).exists():
                self.report(f"{stage.__name__} -> {product}")
                stage()
        self.export(target)

    def build_rows(self) -> None:
        module = [sys.executable, "-m", "agent_training.build"]
        options = ["--recipe", str(self.recipe), "--out", str(self.work / "rows")]
        if subprocess.run(module + options).returncode:
            raise RuntimeError("the rows could not be built, see above")

    def build_corpus(self) -> None:
        """Documents of each package up to its budget of characters, shuffled."""
        budgets: dict[str, float] = self.settings["corpus"]
        rng = random.Random(0)
        unpacked = corpus.fetch(list(budgets), self.work / "documentation")
        chosen = [
            document
            for folder in unpacked
            for document in _within(budgets[folder.name], _shuffled(folder, rng), _characters)
        ]
        rng.shuffle(chosen)
        _write_lines(self.work / "corpus.jsonl", chosen)

    def build_tokenizer(self) -> None:
        from agent_training import tokenizer

        settings = self.settings
        spoken = [
            message["content"]
            for row in _lines(self.work / "rows/train.jsonl")
            for message in row["messages"]
            if message.get("content")
        ]
        random.Random(0).shuffle(spoken)
        written = ["\n".join(document) for document in _lines(self.work / "corpus.jsonl")]
        trained = tokenizer.train_tokenizer(
            written + spoken[: len(written) * 2], settings["model"]["vocab_size"]
        )
        tokenizer.save(trained, self.work / "tokenizer", settings["model"]["context"])

    def pretrain(self) -> None:
        """Plain language modelling on the corpus, so that near words are near in the model."""
        from agent_training import loop

        loop.run_phase(
            self._backend("pretrain", start=None),
            self._corpus_examples(int(self.settings["pretrain"]["length"])),
            self._schedule("pretrain"),
            self.work / "pretrained.safetensors",
            max_minutes=self.max_minutes,
            report=self.report,
        )

    def instruct(self) -> None:
        """Dialogues: when to look, how to call, what to answer."""
        from agent_training import loop
        from agent_training.dataset import Encoder, Weights, read_rows
        from agent_training.names import pieces_of
        from agent_training.swapping import variants

        options = self.settings["instruct"]
        weights = Weights(auxiliary_share=float(options["auxiliary_share"]))
        encoder = Encoder(self.work / "tokenizer", weights, int(options["max_tokens"]))
        rows = read_rows(self.work / "rows/train.jsonl")
        practised = variants(
            rows,
            float(options["copying_share"]),
            int(options["copies"]),
            int(options["drills"]),
            pieces_of(encoder.tokenizer.get_vocab()),
            phrasing.asides(self.recipe.parent.parent / "examples"),
        )
        examples, dropped = encoder.examples(list(practised))
        held_out, _ = encoder.examples(read_rows(self.work / "rows/valid.jsonl"))
        tokens = sum(len(e.tokens) for e in examples)
        self.report(f"{len(examples)} rows, {tokens} tokens; {dropped} rows too long, dropped")
        plain = float(options.get("plain_share", 0))
        examples += self._plain(tokens * plain / (1 - plain))
        figures = loop.run_phase(
            self._backend("instruct", start=self.work / "pretrained.safetensors"),
            examples,
            self._schedule("instruct"),
            self.work / "instructed.safetensors",
            held_out=held_out,
            max_minutes=self.max_minutes,
            report=self.report,
        )
        (self.work / "instructed.json").write_text(json.dumps(figures, indent=1) + "\n")

    def calibrate(self) -> None:
        """The threshold between calling and answering, by the validation rows."""
        from agent_training.calibrate import calibrate
        from agent_training.dataset import Encoder, Weights, read_rows

        options = self.settings["calibrate"]
        encoder = Encoder(
            self.work / "tokenizer", Weights(), int(self.settings["instruct"]["max_tokens"])
        )
        rows = read_rows(self.work / "rows/valid.jsonl")
        random.Random(0).shuffle(rows)
        examples = [
            (found[0], row["label"] == "tool")
            for row in rows[: int(options["rows"])]
            if (found := encoder.examples([row])[0])
        ]
        partial = self.work / "calibrated.partial.safetensors"
        shutil.copyfile(self.work / "instructed.safetensors", partial)
        figures = calibrate(
            partial, self._shape(), examples, encoder.call, float(options.get("strength", 1))
        )
        partial.replace(self.work / "calibrated.safetensors")
        self.report(json.dumps(figures))

    def export(self, target: Path) -> None:
        from agent_training.export import export

        export(
            self.work / "calibrated.safetensors",
            self._shape(),
            self.work / "tokenizer",
            target,
            float(self.settings["export"]["copy_bonus"]),
        )
        self.report(f"{target}: {(target / 'model.safetensors').stat().st_size / 2**20:.1f} MiB")

    def _backend(self, phase: str, start: Path | None) -> Backend:
        """MLX where it has a GPU, PyTorch on a CPU, where it is several times faster."""
        if self.backend == "mlx":
            from agent_training.mlx_backend import MlxBackend

            return MlxBackend(self._shape(), self._schedule(phase), start)
        from agent_training.torch_backend import TorchBackend

        return TorchBackend(self._shape(), self._schedule(phase), start)

    def _shape(self) -> Shape:
        return Shape(**self.settings["model"])

    def _schedule(self, phase: str) -> Schedule:
        names = Schedule.__dataclass_fields__
        return Schedule(**{k: v for k, v in self.settings[phase].items() if k in names})

    def _plain(self, tokens: float) -> list[Example]:
        """So much of the corpus, at half weight: what words mean is not to be forgotten."""
        pieces = self._corpus_examples(int(self.settings["pretrain"]["length"])) if tokens else []
        random.Random(0).shuffle(pieces)
        chosen = list(_within(tokens, pieces, lambda piece: len(piece.tokens)))
        return [Example(piece.tokens, piece.weights * np.float32(0.5)) for piece in chosen]

    def _corpus_examples(self, length: int) -> list[Example]:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.work / "tokenizer/tokenizer.json"))
        texts = ["\n".join(document) for document in _lines(self.work / "corpus.jsonl")]
        examples = []
        for encoding in tokenizer.encode_batch(texts):
            ids = np.array(encoding.ids, np.int32)
            for start in range(0, len(ids) - length // 4, length - 1):
                piece = ids[start : start + length]
                weights = np.ones(len(piece), np.float32)
                weights[0] = 0
                examples.append(Example(piece, weights))
        return examples


def _shuffled(folder: Path, rng: random.Random) -> list[list[str]]:
    documents = list(corpus.documents(folder))
    rng.shuffle(documents)
    return documents


def _characters(document: list[str]) -> int:
    return sum(map(len, document))


def _within(budget: float, items: Iterable[T], size: Callable[[T], int]) -> Iterator[T]:
    """The first items until they have used up the budget."""
    for item in items:
        if budget <= 0:
            return
        yield item
        budget -= size(item)


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _write_lines(path: Path, values: list[Any]) -> None:
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    path.write_text(text, encoding="utf-8")
