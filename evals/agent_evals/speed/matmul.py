"""fp32 matrix products: MLX with our BLAS in front of it against MLX as it comes."""

import sys

from agent_evals.speed.measure import Line, Options, interleaved, output, python

_SIZE = 1024
_OURS = """\
from agent.serving.blas import use_fast_blas
if not use_fast_blas():
    raise SystemExit("our BLAS is not in place")
"""
_PROGRAM = f"""\
import time
import mlx.core as mx
n = {_SIZE}
a, b = mx.random.normal((n, n)), mx.random.normal((n, n))
mx.eval(a, b, a @ b)
times = []
while len(times) < 3 or sum(times) < 1:
    begun = time.perf_counter()
    mx.eval(a @ b)
    times.append(time.perf_counter() - begun)
times.sort()
print(2 * n**3 / times[len(times) // 2] / 1e9)
"""


def lines(options: Options) -> list[Line]:
    """GFLOP/s, each from processes of its own. Off Linux both are the same MLX."""
    ours, rival = interleaved(
        min(options.repeats, 3),
        lambda: float(output(python("-c", _OURS + _PROGRAM))),
        lambda: float(output(python("-c", _PROGRAM))),
    )
    target = 20.0 if sys.platform == "linux" else 1.0
    what = f"fp32 matmul {_SIZE}x{_SIZE}"
    return [Line(what, ours, rival, "GFLOP/s", "stock MLX", ">=", target)]
