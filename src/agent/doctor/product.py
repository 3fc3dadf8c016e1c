"""Prints how many GFLOP/s MLX's matrix product does; a program of its own, see `machine.blas`."""

import time

from agent.serving.blas import use_fast_blas

_SIZE = 768


def main() -> None:
    """The better of two products, the first of which may still be loading things."""
    use_fast_blas()
    import mlx.core as mx

    matrix = mx.random.normal((_SIZE, _SIZE))
    mx.eval(matrix)
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        mx.eval(matrix @ matrix)
        seconds.append(time.perf_counter() - begun)
    print(2 * _SIZE**3 / min(seconds) / 1e9, flush=True)


if __name__ == "__main__":
    main()
