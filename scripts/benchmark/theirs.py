"""The reference's side: its loop as a function of a number of steps, eager or through `torch.compile`.

The loop itself is `reference.py`'s.
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch

from scripts.benchmark.reference import PIXELS, Arrays, Heads, loader, make_optimizer, total_loss
from scripts.benchmark.shapes import Shape
from tipai_jax.store import Store
from tipai_jax.tasks.auditor import pairs_of_split

__all__ = ["arrays_of", "whole_loop"]


def arrays_of(store: Store) -> Arrays:
    """The training pairs of a store, embeddings in memory as f16."""
    pairs = pairs_of_split(store, "train")
    boxes = np.round(pairs.boxes.xyxy * PIXELS).astype(np.float32)
    return Arrays(
        text=store.text.whole(),
        image=store.image.whole(),
        patches=store.patches.whole(),
        prompt=pairs.prompt,
        image_index=np.stack([pairs.chosen, pairs.rejected], axis=1),
        patch_label=pairs.patch_label,
        category=pairs.category,
        control=pairs.control,
        boxes=boxes,
    )


def whole_loop(
    arrays: Arrays,
    shape: Shape,
    *,
    workers: int = 0,
    compiled: bool = False,
    dtype: str = "float32",
    device: str = "cpu",
) -> Callable[[int], None]:
    """Fetch, forward, backward, update, `loss.item()`: as many steps as asked for, epoch after epoch; with bfloat16
    under torch's autocast.
    """
    torch.manual_seed(0)
    model = Heads(shape.d, shape.hidden).to(device)
    optimizer = make_optimizer(model)
    loss_of = torch.compile(total_loss) if compiled else total_loss
    batches = _endless(loader(arrays, batch_size=shape.batch, workers=workers))

    def call(steps: int) -> None:
        for batch in itertools.islice(batches, steps):
            with torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
                loss = loss_of(model, {name: value.to(device, non_blocking=True) for name, value in batch.items()})
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss.item()

    return call


def _endless(batches: torch.utils.data.DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    while True:
        yield from batches
