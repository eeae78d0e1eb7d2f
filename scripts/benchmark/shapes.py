"""The sizes of a measurement, and the FLOPs and bytes that a training pair of the plan's heads cannot do without.

It counts the plan's config (`configs/plan.py`): two linear layers a head on [text; image] or [text; patch], five
losses. Nothing is measured here.
"""

from dataclasses import dataclass

__all__ = ["Shape", "pair_bytes", "pair_flops", "step_bytes", "step_flops"]


@dataclass(frozen=True)
class Shape:
    """What a measurement is made with.

    Attributes:
        d: width of the embeddings.
        k: patches of an image.
        batch: pairs in a step.
        hidden: width of the hidden layers.
        pairs: training pairs of the store.
        validation: pairs of the validation split.
    """

    d: int = 768
    k: int = 49
    batch: int = 32
    hidden: int = 256
    pairs: int = 2048
    validation: int = 64

    @property
    def parameters(self) -> int:
        """Of the three heads: global and patch with one output, reason with five."""
        return 3 * (2 * self.d * self.hidden + self.hidden) + (1 + 1 + 5) * (self.hidden + 1)


def pair_flops(shape: Shape) -> dict[str, float]:
    """Multiplications and additions of the matrix products of one pair, forward and backward, by what they are for.

    The first layer needs its product once forward and once for the gradient of its kernel; embeddings are frozen, so
    there is no gradient by the input. Factorised, the prompt is projected once for each head, an image once, a patch
    once. The second layers count three times.
    """
    d, k, h = shape.d, shape.k, shape.hidden
    first = lambda rows: 2 * 2.0 * rows * d * h
    second = lambda rows, outputs: 3 * 2.0 * rows * h * outputs
    return {
        "patches": first(2 * k),
        "images": first(2 * 2),  # of the global and of the reason head
        "prompts": first(3),
        "second layers": second(2 * k, 1) + second(2, 1) + second(2, 5),
    }


def pair_bytes(shape: Shape) -> dict[str, float]:
    """Bytes that must pass through the memory for one pair, by what they are for.

    Embeddings are read as f16 and written and twice read as f32 (forward and the kernel's gradient); the hidden units
    of a patch are written, and read when the gradient goes back. What is left of a step (losses over 7x7 grids) is a
    thousandth of this.
    """
    embedded = (2 * (shape.k + 1) + 1) * shape.d
    hidden = (2 * (shape.k + 2) + 3) * shape.hidden
    return {"embeddings": embedded * (2 + 4 + 4 + 4), "hidden units": hidden * (4 + 4)}


def step_bytes(shape: Shape) -> float:
    """Bytes of one step: its pairs, and AdamW (gradient, parameter and two moments read, three of them written)."""
    return shape.batch * sum(pair_bytes(shape).values()) + shape.parameters * 4 * 7


def step_flops(shape: Shape) -> float:
    """FLOPs of the matrix products of one step."""
    return shape.batch * sum(pair_flops(shape).values())
