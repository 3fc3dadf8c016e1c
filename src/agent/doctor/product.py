"""Prints whether a fast BLAS is in place and how many GFLOP/s MLX's matrix product does.

A program of its own, see `machine.blas`.
"""

import time

from agent.serving.blas import use_fast_blas

_SIZE = 768
_TIMES = 6


def main() -> None:
    """The best of some products: others may be at work on this machine, too."""
    fast = use_fast_blas()
    import mlx.core as mx

    matrix = mx.random.normal((_SIZE, _SIZE))
    mx.eval(matrix)
    seconds = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        mx.eval(matrix @ matrix)
        seconds.append(time.perf_counter() - begun)
    print(int(fast), 2 * _SIZE**3 / min(seconds) / 1e9, flush=True)


if __name__ == "__main__":
    main()
