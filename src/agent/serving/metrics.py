"""Counters of the endpoint, and their Prometheus text."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Metrics:
    """Written by one thread each; gauges say what is going on now."""

    responses: Counter[int] = field(default_factory=Counter)
    running: int = 0
    waiting: int = 0
    completed: int = 0
    cancelled: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    tool_calls: int = 0
    cache_bytes: int = 0

    def text(self, model: str, weights: str) -> str:
        """The Prometheus exposition format, version 0.0.4."""
        lines = [f'agent_model_info{{model="{model}",weights="{weights}"}} 1']
        for status, count in sorted(self.responses.items()):
            lines.append(f'agent_http_responses_total{{status="{status}"}} {count}')
        for name in ("running", "waiting"):
            lines += [f"# TYPE agent_{name} gauge", f"agent_{name} {getattr(self, name)}"]
        for name in ("completed", "cancelled", "failed"):
            lines += [_type(f"generations_{name}"), _line(f"generations_{name}", self, name)]
        for name in ("prompt_tokens", "cached_tokens", "generated_tokens", "tool_calls"):
            lines += [_type(name), _line(name, self, name)]
        lines += ["# TYPE agent_cache_bytes gauge", f"agent_cache_bytes {self.cache_bytes}"]
        return "\n".join(lines) + "\n"


def _type(name: str) -> str:
    return f"# TYPE agent_{name}_total counter"


def _line(name: str, metrics: Metrics, attribute: str) -> str:
    return f"agent_{name}_total {getattr(metrics, attribute)}"
