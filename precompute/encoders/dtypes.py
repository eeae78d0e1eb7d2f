"""The number formats that an encoder can compute in, and which of them is fastest on this machine.

Processors with AMX multiply bfloat16 several times faster than float32, others hundreds of times slower, so the speed
is measured.
"""

import time

import torch

__all__ = ["DTYPES", "fast_dtype"]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def fast_dtype(device: torch.device) -> str:
    """`bfloat16` where a product takes less than half of the time that it takes in float32, else `float32`."""
    return "bfloat16" if 2 * _seconds(torch.bfloat16, device) < _seconds(torch.float32, device) else "float32"


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """Seconds of the fastest of fifty matrix products of the size of a layer's.

    They run on one core, for several cores would wait for each other where other processes use them.
    """
    threads = torch.get_num_threads()
    x, weight = torch.ones(1024, 160, dtype=dtype, device=device), torch.ones(640, 160, dtype=dtype, device=device)
    took = []
    torch.set_num_threads(1)
    try:
        for _ in range(50):
            began = time.perf_counter()
            float(torch.nn.functional.linear(x, weight)[0, 0])  # copies the value, so that a GPU has finished
            took.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return min(took)
