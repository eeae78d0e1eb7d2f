"""Processes that train as one: each ends a step with the mean of all gradients."""

import os
import socket

import torch
from torch import nn

from precompute.tiny_clip.together import agree, average_gradients, begin_alike, join


def _gradients(rank: int, port: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    assert join() == (rank, 2) == join()
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.fill_(1.0 + rank)
    begin_alike(model)
    assert (model.weight == 1.0).all() and agree(f"value of {rank}") == "value of 0"
    (model.weight.sum() * (rank + 1)).backward()  # no gradient for the bias in the one, and in the other one of 4
    if rank:
        model.bias.grad = torch.full((2,), 4.0)
    average_gradients(model)
    torch.save([model.weight.grad, model.bias.grad], f"{folder}/{rank}.pt")


def test_every_process_gets_the_mean_of_the_gradients(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_gradients, args=(port, str(tmp_path)), nprocs=2)
    for rank in (0, 1):
        weight, bias = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(weight, torch.full((2, 3), 1.5))
        torch.testing.assert_close(bias, torch.full((2,), 2.0))


def test_alone_nothing_is_changed(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert join() == (0, 1) and agree("alone") == "alone"
    model = nn.Linear(3, 2)
    model.weight.sum().backward()
    average_gradients(model)
    assert model.bias.grad is None and torch.equal(model.weight.grad, torch.ones(2, 3))
