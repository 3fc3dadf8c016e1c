"""Tokens per second: our endpoint against the stock `mlx_lm.server` on the same weights."""

import itertools
import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import agent
from agent.serving import weights
from agent_evals.speed.measure import (
    Line,
    Options,
    SpeedError,
    interleaved,
    python,
    running,
    seconds,
)

_START = 300.0
_ANSWER = 300.0
_LONG = "def area(width, height): return width * height  # square metres\n"
_PREFILL = 1_000  # prompt tokens, about; at most half the model's window
_DECODE = 128  # tokens
_TOGETHER = 8


@dataclass
class Server:
    """A server under measurement; every prompt begins differently, so that no cache helps."""

    url: str
    model: str
    end: dict[str, float]
    serial: "itertools.count[int]" = field(default_factory=itertools.count)

    def ask(self, text: str, tokens: int) -> dict[str, int]:
        """Have exactly `tokens` generated; returns the usage the server reports."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": f"{next(self.serial)} {text}"}],
            "max_tokens": tokens,
            "temperature": 0,
            "logit_bias": self.end,
        }
        reply = _post(f"{self.url}/chat/completions", body)
        usage: dict[str, int] = reply["usage"]
        if usage["completion_tokens"] != tokens:
            raise SpeedError(f"{usage['completion_tokens']} tokens came instead of {tokens}")
        return usage

    def prefill(self, text: str) -> float:
        """Prompt tokens per second, one generated token included."""
        begun = time.perf_counter()
        usage = self.ask(text, 1)
        return usage["prompt_tokens"] / (time.perf_counter() - begun)

    def decode(self) -> float:
        """Generated tokens per second, the prompt's share taken out."""
        first = seconds(lambda: self.ask("Tell me more.", 1))
        whole = seconds(lambda: self.ask("Tell me more.", _DECODE + 1))
        return _DECODE / max(whole - first, 1e-9)

    def throughput(self, together: int) -> float:
        """Generated tokens per second of `together` requests at once, prompts included."""
        with ThreadPoolExecutor(together) as pool:
            begun = time.perf_counter()
            for usage in pool.map(lambda _: self.ask("Tell me more.", _DECODE), range(together)):
                assert usage
            return together * _DECODE / (time.perf_counter() - begun)


def lines(options: Options) -> list[Line]:
    """Prefill and decode against the stock server; eight at once against one."""
    folder = _folder(options.model)
    end = _ends(folder)
    with (
        tempfile.TemporaryDirectory() as logs,
        _ours(folder, end, Path(logs)) as ours,
        _stock(folder, end, Path(logs)) as stock,
    ):
        text = _long_text(ours, folder)
        prefill = interleaved(
            options.repeats, lambda: ours.prefill(text), lambda: stock.prefill(text)
        )
        decode = interleaved(options.repeats, ours.decode, stock.decode)
        eight = interleaved(
            options.repeats, lambda: ours.throughput(_TOGETHER), lambda: ours.throughput(1)
        )
        stock_eight = median(stock.throughput(_TOGETHER) for _ in range(2))
    rival = "mlx_lm.server"
    return [
        Line("prefill, alone", *prefill, "tok/s", rival, ">=", 1),
        Line("decode, alone", *decode, "tok/s", rival, ">=", 1),
        Line(f"{_TOGETHER} at once", *eight, "tok/s", "ours alone", ">=", 2.5),
        Line(f"{_TOGETHER} at once", eight[0], stock_eight, "tok/s", rival, ">=", 1),
    ]


def _long_text(server: Server, folder: Path) -> str:
    """A text of as many tokens as are wanted and fit."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    wanted = min(_PREFILL, int(config.get("max_position_embeddings", 4096)) // 2)
    per_line = server.ask(_LONG * 8, 1)["prompt_tokens"] / 8
    return _LONG * int(wanted / per_line)


def _folder(ref: str) -> Path:
    try:
        weights.check(ref)
    except weights.LoadError as error:
        raise SpeedError(str(error)) from None
    folder = Path(agent.__file__).parent / "embedded" if ref == weights.EMBEDDED else Path(ref)
    if not folder.is_dir():
        raise SpeedError(f"{ref} is no folder; both servers need the same weights on disk")
    return folder.resolve()


def _ends(folder: Path) -> dict[str, float]:
    """A bias that forbids the end of turn, so that both servers write equally many tokens."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ids = config.get("eos_token_id", [])
    return {str(i): -100.0 for i in (ids if isinstance(ids, list) else [ids])}


@contextmanager
def _ours(folder: Path, end: dict[str, float], logs: Path) -> Iterator[Server]:
    port = _free_port()
    command = python("-m", "agent", "serve", "--model", str(folder), "--port", str(port))
    with _up(command, port, logs / "ours") as url:
        yield Server(url, folder.name, end)


@contextmanager
def _stock(folder: Path, end: dict[str, float], logs: Path) -> Iterator[Server]:
    port = _free_port()
    command = python("-m", "mlx_lm", "server", "--model", str(folder), "--port", str(port))
    with _up(command, port, logs / "stock") as url:
        yield Server(url, "default_model", end)


@contextmanager
def _up(command: list[str], port: int, log: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}/v1"
    with running(command, log) as process:
        _wait(f"http://127.0.0.1:{port}/health", process, log)
        yield url


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until the server answers.

    Raises:
        SpeedError: it ends, or stays silent.
    """
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise SpeedError(f"the {log.name} server ended: {said[-1] if said else 'silently'}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SpeedError(f"the {log.name} server does not answer after {_START:.0f} s")


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER) as reply:
            answer: dict[str, Any] = json.load(reply)
            return answer
    except urllib.error.HTTPError as error:
        said = error.read()[:300].decode(errors="replace")
        raise SpeedError(f"{url} answers {error.code}: {said}") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
