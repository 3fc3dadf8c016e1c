"""The generation thread: batches, caches, cancelled and failing jobs."""

import threading
from typing import Any

import pytest

from agent.serving.engine import Engine, Failed, Finished
from agent.serving.weights import LoadError
from tests.serving.driving import GREP, READ, Driver, ask, collect

PROMPTS = ["where is x", "count the lines of a file " * 9, "a", "the class that reads " * 3]


def end(driver: Driver, **body: Any) -> Finished:
    outcome = driver.run([ask(**body)])[0].end
    assert isinstance(outcome, Finished)
    return outcome


def test_a_batch_says_what_each_would_say_alone(driver: Driver) -> None:
    bodies = [
        ask(text, max_tokens=12 + 9 * i, tools=[GREP, READ], tool_choice=choice)
        for i, text in enumerate(PROMPTS)
        for choice in ("auto", "required")
    ]
    alone = []
    for body in bodies:
        driver.engine._cache.clear()
        alone += driver.run([body])
    driver.engine._cache.clear()
    together = driver.run(bodies)
    assert [o.text for o in together] == [o.text for o in alone]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one.end, Finished) and isinstance(other.end, Finished)
        assert (one.end.reason, one.end.calls) == (other.end.reason, other.end.calls)


def test_a_repeated_prompt_is_cached_and_answered_alike(driver: Driver) -> None:
    driver.engine._cache.clear()
    first, second = (driver.run([ask("once more", max_tokens=20)])[0] for _ in range(2))
    assert isinstance(first.end, Finished) and isinstance(second.end, Finished)
    assert first.end.usage.cached_tokens == 0
    assert second.end.usage.cached_tokens == second.end.usage.prompt_tokens - 1
    assert second.text == first.text


def test_a_longer_conversation_reuses_the_shorter_one(driver: Driver) -> None:
    question = {"role": "user", "content": "where is x, and what does it do"}
    answer, follow_up = {"role": "assistant", "content": "in a file"}, "and then"
    longer = [question, answer, {"role": "user", "content": follow_up}]
    driver.engine._cache.clear()
    fresh = driver.run([{**ask(max_tokens=20), "messages": longer}])[0]
    driver.engine._cache.clear()
    before = driver.run([{**ask(max_tokens=1), "messages": [question]}])[0]
    again = driver.run([{**ask(max_tokens=20), "messages": longer}])[0]
    assert isinstance(before.end, Finished) and isinstance(again.end, Finished)
    assert again.end.usage.cached_tokens >= before.end.usage.prompt_tokens - 1
    assert again.text == fresh.text


def test_a_beginning_shared_by_many_is_cached(driver: Driver) -> None:
    driver.engine._cache.clear()
    shared = "the class that reads a file and returns its lines " * 8
    ends = [end(driver, text=shared + tail, max_tokens=2) for tail in "abc"]
    assert ends[-1].usage.cached_tokens > 64


def test_a_call_cut_in_half_is_no_call(driver: Driver) -> None:
    for limit in (1, 3, 9):
        cut = end(driver, max_tokens=limit, tools=[READ], tool_choice="required")
        assert (cut.reason, cut.calls) == ("length", [])


def test_a_cancelled_job_leaves_the_batch(driver: Driver) -> None:
    ban = {str(token): -100.0 for token in driver.served.tokenizer.ends}
    cancelled = driver.engine.metrics.cancelled
    job, events = driver.prepare(ask(max_tokens=400, logit_bias=ban))
    driver.engine.submit(job)
    events.get(timeout=60)
    job.cancel()
    end(driver, max_tokens=5)
    assert driver.engine.metrics.cancelled == cancelled + 1


def test_a_failing_request_fails_alone(driver: Driver) -> None:
    def explode(self: Any, context: Any, logits: Any) -> Any:
        raise RuntimeError("boom")

    good, good_events = driver.prepare(ask("good", max_tokens=30))
    bad, bad_events = driver.prepare(ask("bad", max_tokens=30))
    bad.constraint.__class__ = type("Bad", (type(bad.constraint),), {"__call__": explode})
    driver.engine.submit(good)
    driver.engine.submit(bad)
    assert isinstance(collect(good_events).end, Finished)
    failed = collect(bad_events).end
    assert isinstance(failed, Failed) and "boom" in failed.message


def test_a_failing_model_fails_its_batch_and_the_thread_lives_on(driver: Driver) -> None:
    driver.engine._generator._prompt_batch.model = lambda *args, **kwargs: 1 / 0
    failed = driver.run([ask(max_tokens=3)])[0].end
    assert isinstance(failed, Failed)
    assert end(driver, max_tokens=3).usage.completion_tokens == 3


def test_sampling_parameters_at_their_edges(driver: Driver) -> None:
    edges: list[dict[str, Any]] = [
        {"temperature": 2.0, "top_p": 0.0},
        {"temperature": 1.0, "top_k": 1_000_000},
        {"temperature": 1.0, "top_k": -1, "min_p": 1.0},
        {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "seed": 2**63},
        {"temperature": 0.7, "seed": -1, "repetition_penalty": 1.5},
        {"frequency_penalty": 2.0, "presence_penalty": -2.0, "logit_bias": {"0": -100, "5": 100}},
    ]
    outcomes = driver.run([ask(max_tokens=6, **edge) for edge in edges])
    assert all(isinstance(outcome.end, Finished) for outcome in outcomes)


def test_a_seed_repeats_itself_whatever_runs_beside_it(driver: Driver) -> None:
    body = ask(max_tokens=20, temperature=1.0, seed=7)
    alone = driver.run([body])[0].text
    crowd = driver.run([body, *(ask(t, max_tokens=20, temperature=1.0) for t in PROMPTS)])
    assert crowd[0].text == alone


def test_a_model_that_cannot_be_loaded_says_so() -> None:
    def broken() -> Any:
        raise LoadError("no model at /nowhere")

    engine = Engine(broken)
    with pytest.raises(LoadError, match="no model"):
        engine.wait_ready()
    engine.close()
    assert not any(thread.name == "agent-engine" for thread in _threads_of(engine))


def _threads_of(engine: Engine) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is engine._thread]
