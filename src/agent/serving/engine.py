"""One thread that generates for everybody: continuous batching on mlx-lm's BatchGenerator."""

import atexit
import logging
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.serving import blas
from agent.serving.copying import CopyBonus
from agent.serving.grammar import Constraint
from agent.serving.metrics import Metrics
from agent.serving.prompt_cache import PromptCache
from agent.serving.sampling import Sampling
from agent.serving.toolcalls import ToolCall
from agent.serving.transcript import FinishReason, Text, Transcript
from agent.serving.weights import LoadError, Served

log = logging.getLogger(__name__)

PREFILL_STEP = 512
SHARED_HEAD = 64
"""From this many shared tokens on, a beginning is worth a cache entry of its own."""


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Finished:
    """The end of an answer, with its whole tool calls."""

    reason: FinishReason
    calls: list[ToolCall]
    usage: Usage


@dataclass(frozen=True)
class Failed:
    """Generation broke for this request; others go on."""

    message: str


Event = Text | Finished | Failed


@dataclass
class Job:
    """One request to the engine. `emit` is called from the engine's thread, in order."""

    prompt: list[int]
    max_tokens: int
    sampling: Sampling
    transcript: Transcript
    constraint: Constraint
    emit: Callable[[Event], None]
    copying: CopyBonus | None = None
    cancelled: bool = False
    error: Exception | None = None
    cached: int = 0
    generated: int = 0
    segments: list[int] = field(default_factory=list)

    def processors(self) -> list[Callable[[Any, Any], Any]]:
        """What shapes the logits; the constraint comes last, so that nothing undoes it."""
        copying = [self.copying] if self.copying else []
        return [*self.sampling.processors(), *copying, self.constraint]

    def cancel(self) -> None:
        """Nobody waits for this any more; safe from any thread, at any time."""
        self.cancelled = True


class Engine:
    """Loads a model in its own thread, then serves jobs until `close`.

    Whatever one job does, the thread lives on.
    """

    def __init__(self, load: Callable[[], Served], metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.served: Served | None = None
        self._load = load
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._jobs: dict[int, Job] = {}
        self._cache = PromptCache()
        self._generator: Any = None
        self._closing = False
        self._ready = threading.Event()
        self._load_error: LoadError | None = None
        self._thread = threading.Thread(target=self._run, name="agent-engine", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def wait_ready(self, timeout: float | None = None) -> Served:
        """The loaded model. Raises LoadError when it cannot be loaded."""
        if not self._ready.wait(timeout):
            raise LoadError("the model is still loading")
        if self._load_error is not None:
            raise LoadError(str(self._load_error))
        assert self.served is not None
        return self.served

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set() and self._load_error is None

    def submit(self, job: Job) -> None:
        """Queue a job; its events follow."""
        self._inbox.put(job)
        self.metrics.waiting = self._inbox.qsize()

    def close(self) -> None:
        """Cancel everything and end the thread; safe to call twice."""
        atexit.unregister(self.close)
        self._closing = True
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self.served = self._load()
            self._generator = self._new_generator()
        except LoadError as error:
            self._load_error = error
        except Exception as error:
            log.debug("loading failed", exc_info=True)
            self._load_error = LoadError(f"the model cannot be loaded: {error}")
        self._ready.set()
        while not self._closing:
            try:
                self._turn()
            except Exception as error:
                log.error("generation failed: %s", error)
                log.debug("where it failed", exc_info=True)
                self._restart(error)
        self._fail_all("the endpoint is shutting down")
        self._release()

    def _turn(self) -> None:
        """One step of the batch, after letting jobs in and out."""
        while not self._inbox.empty() or not self._jobs:
            job = self._inbox.get()
            if job is None:
                return
            self.metrics.waiting = self._inbox.qsize()
            self._admit(job)
        self._drop_cancelled()
        self._share_cores()
        prompts, tokens = self._generator.next()
        for progress in prompts:
            self._prompt_progress(progress)
        for response in tokens:
            self._token(response)
        self.metrics.running = len(self._jobs)

    def _share_cores(self) -> None:
        """Prompts get every core; a tiny model's single tokens do best on one."""
        assert self.served is not None
        reading = any(job.generated == 0 for job in self._jobs.values())
        blas.use_threads(1 if self.served.tiny and not reading else None)

    def _release(self) -> None:
        """End MLX's threads while Python still runs: at exit they would abort the process."""
        if "mlx.core" not in sys.modules:
            return
        import mlx.core as mx

        mx.synchronize()
        self._generator = None
        self._cache.clear()
        mx.clear_streams()

    def _new_generator(self) -> Any:
        from mlx_lm.generate import BatchGenerator

        assert self.served is not None
        return BatchGenerator(self.served.model, prefill_step_size=PREFILL_STEP)

    def _admit(self, job: Job) -> None:
        if job.cancelled:
            self.metrics.cancelled += 1
            return
        try:
            uid = self._insert(job)
        except Exception as error:
            log.debug("a request could not be started", exc_info=True)
            self._fail(job, error)
            return
        self._jobs[uid] = job
        self.metrics.running = len(self._jobs)

    def _insert(self, job: Job) -> int:
        assert self.served is not None
        cache, job.cached = self._cache.take(job.prompt)
        head = min(self._cache.longest_shared(job.prompt), len(job.prompt) - 1)
        rest = job.prompt[job.cached :]
        cut = head - job.cached if head - job.cached >= SHARED_HEAD else 0
        segments = [rest[:cut], rest[cut:]] if cut else [rest]
        uids: list[int] = self._generator.insert_segments(
            [segments],
            max_tokens=[job.max_tokens],
            caches=[cache],
            all_tokens=[job.prompt[: job.cached]],
            samplers=[_guarded(job, job.sampling.sampler(self.served.width))],
            logits_processors=[[_guarded_processor(job, p) for p in job.processors()]],
        )
        self.metrics.prompt_tokens += len(job.prompt)
        self.metrics.cached_tokens += job.cached
        return uids[0]

    def _prompt_progress(self, progress: Any) -> None:
        """Keep the cache of a prompt, and of a beginning that others share."""
        if progress.end_of_segment and not progress.end_of_prompt:
            for cache, tokens in self._generator.extract_cache([progress.uid]).values():
                self._keep(tokens, cache)

    def _token(self, response: Any) -> None:
        job = self._jobs[response.uid]
        job.generated += 1
        self.metrics.generated_tokens += 1
        if job.error is not None:
            self._leave(response)
            self._fail(job, job.error)
            return
        shows = False
        for text in job.transcript.feed(response.token):
            shows = shows or bool(text.text.strip())
            job.emit(text)
        job.constraint.observe(response.token, shows)
        if job.transcript.finish is None and response.finish_reason is not None:
            for text in job.transcript.cut():
                job.emit(text)
        if job.transcript.finish is not None:
            self._finish(job, response)

    def _finish(self, job: Job, response: Any) -> None:
        transcript = job.transcript
        assert transcript.finish is not None
        usage = Usage(len(job.prompt), job.cached, job.generated)
        self.metrics.completed += 1
        self.metrics.tool_calls += len(transcript.calls)
        caches = self._leave(response)
        self.metrics.running = len(self._jobs)
        job.emit(Finished(transcript.finish, transcript.calls, usage))
        for cache, tokens in caches:
            self._keep(tokens, cache)

    def _leave(self, response: Any) -> list[tuple[list[Any], list[int]]]:
        """Take a job out of the batch; returns its cache and the tokens in it."""
        del self._jobs[response.uid]
        if response.finish_reason is not None:
            return [(response.prompt_cache, response.all_tokens)]
        return list(self._generator.remove([response.uid], return_prompt_caches=True).values())

    def _keep(self, tokens: list[int], cache: list[Any]) -> None:
        self._cache.add(tokens, cache)
        self.metrics.cache_bytes = self._cache.nbytes

    def _drop_cancelled(self) -> None:
        gone = [uid for uid, job in self._jobs.items() if job.cancelled]
        if gone:
            self._generator.remove(gone)
            self.metrics.cancelled += len(gone)
            for uid in gone:
                del self._jobs[uid]
            self.metrics.running = len(self._jobs)

    def _fail(self, job: Job, error: Exception) -> None:
        self.metrics.failed += 1
        job.emit(Failed(f"generation failed: {error}"))

    def _fail_all(self, message: str) -> None:
        for job in self._jobs.values():
            self._fail(job, RuntimeError(message))
        self._jobs.clear()
        self.metrics.running = 0

    def _restart(self, error: Exception) -> None:
        """The batch is in an unknown state: fail what was in it and begin a new one."""
        self._fail_all(str(error) or type(error).__name__)
        self._cache.clear()
        self._generator = self._new_generator()


def _guarded(job: Job, sampler: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """None and shared samplers stay the same object, so that mlx-lm samples a batch at once."""
    if sampler is None or job.sampling.seed is None:
        return sampler

    def sample(logprobs: Any) -> Any:
        import mlx.core as mx

        try:
            return sampler(logprobs)
        except Exception as error:
            job.error = job.error or error
            return mx.argmax(logprobs, axis=-1)

    return sample


def _guarded_processor(job: Job, processor: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A failing processor fails its own request, not the batch."""

    def process(context: Any, logits: Any) -> Any:
        try:
            return processor(context, logits)
        except Exception as error:
            job.error = job.error or error
            return logits

    return process
