"""Several processes that train as one, each on its part of every batch, started by `torchrun`.

It owns who takes part and how their gradients become one. On a CPU two processes of one thread each do twice the work of one process of two threads:
most products here are too small to be shared.
"""

import os

import torch
import torch.distributed as dist
from torch import nn

__all__ = ["average_gradients", "join"]


def join() -> tuple[int, int]:
    """(number of this process, how many there are), from the variables of `torchrun`; (0, 1) without them."""
    if "RANK" not in os.environ:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    return dist.get_rank(), dist.get_world_size()


def average_gradients(model: nn.Module) -> None:
    """Give every process the mean of all processes' gradients; a parameter that has none in one process counts as zero there."""
    if not dist.is_initialized():
        return
    with torch.no_grad():
        params = list(model.parameters())
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).float().cpu() for p in params])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for p, part in zip(params, flat.split([p.numel() for p in params]), strict=True):
            p.grad = part.view(p.shape).to(p)
