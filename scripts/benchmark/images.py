"""Precompute: images a second of each patch recipe, against a loop that takes one image after the other.

What it runs of ours is `precompute.pipeline.image_batches`, the code path of `embed.py`.
"""

import io
import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from precompute.encoders.clip import ClipEncoder, load_clip
from precompute.encoders.folder import GRID, EncoderFolder
from precompute.pipeline import image_batches
from precompute.readers.records import ImageFile, Source
from precompute.shards import Work
from precompute.world.draw import draw
from precompute.world.square import sample
from scripts.benchmark.rounds import Candidate
from tipai_jax.store import CATEGORIES, DIFFICULTIES

__all__ = ["DrawnImages", "Embedded", "draw_images", "embedded", "one_by_one"]


@dataclass(frozen=True)
class DrawnImages:
    """PNG files in memory, so that no disk is measured."""

    files: dict[str, bytes]

    @property
    def source(self) -> Source:
        """The data set that `embed.py` would read."""
        images = {key: ImageFile(size=len(data), changed_ns=0) for key, data in self.files.items()}
        return Source(
            records=[],
            rejects=[],
            rows=0,
            identity={"kind": "drawn"},
            small_world_only=True,
            images=images,
            read_image=self.files.__getitem__,
        )


def draw_images(number: int, *, seed: int = 0) -> DrawnImages:
    """Scenes of every category and difficulty, as PNG of 224 x 224."""
    from PIL import Image

    rng, files = np.random.default_rng(seed), {}
    for i in range(number):
        square = sample(rng, category=CATEGORIES[i % 5], difficulty=DIFFICULTIES[i % 3], banned=frozenset())
        buffer = io.BytesIO()
        Image.fromarray(draw(square.scenes[0])).save(buffer, format="PNG", compress_level=1)
        files[f"{i}.png"] = buffer.getvalue()
    return DrawnImages(files)


@dataclass
class Embedded:
    """Our path as a candidate, and where its time went in the last round.

    Attributes:
        preparing: share of the busy time that decoding and resizing took.
        waiting: share of the encoder's time in which it had nothing to do: on a CPU, where each core prepares and
            encodes in turn, that of the cores which did neither; on a GPU that in which no batch was ready.
    """

    encoder: ClipEncoder
    images: DrawnImages
    number: int
    preparing: float = 0.0
    waiting: float = 0.0

    def __call__(self) -> list[float]:
        """Seconds an image through the whole path, decoding included."""
        works = [Work("images", 0, tuple(self.images.files)[: self.number], "")]
        threads = len(os.sched_getaffinity(0))
        read = encoded = waited = 0.0
        began = asked = time.perf_counter()
        for batch in image_batches(works, self.images.source, self.encoder, threads=threads):
            came = time.perf_counter()
            if batch.rows is None:
                self.encoder.encode_images([item.prepared for item in batch.opened if item.prepared])
            read, encoded, waited = read + batch.read, encoded + batch.encoded, waited + came - asked
            asked = time.perf_counter()
        seconds = asked - began
        on_cpu = self.encoder.device.type == "cpu"
        busy = encoded if on_cpu else seconds - waited
        self.preparing = read / (read + busy)
        self.waiting = 1 - (read + encoded) / (threads * seconds) if on_cpu else waited / seconds
        return [seconds / self.number]


def embedded(
    folder: EncoderFolder, images: DrawnImages, *, patches: str, number: int, batch_size: int, device: str = "cpu"
) -> Embedded:
    """The candidate, warm."""
    made = Embedded(load_clip(folder, patches=patches, batch_size=batch_size, device=device), images, number)
    made()
    return made


def one_by_one(folder: EncoderFolder, images: DrawnImages, *, number: int, device: str = "cpu") -> Candidate:
    """Seconds an image of the loop that the plan suggests: the processor on the image and on each of its 49 crops, the
    model on one crop after the other.
    """
    from PIL import Image
    from transformers import CLIPImageProcessorPil, CLIPModel

    model: Any = CLIPModel.from_pretrained(folder.path, local_files_only=True).to(device).eval()
    processor = CLIPImageProcessorPil.from_pretrained(folder.path)
    threads = torch.get_num_threads()

    def features(image: Any) -> None:
        model.get_image_features(**processor(images=image, return_tensors="pt").to(device))

    @torch.inference_mode()
    def measure() -> list[float]:
        torch.set_num_threads(threads)
        found = []
        for data in list(images.files.values())[:number]:
            began = time.perf_counter()
            image = Image.open(io.BytesIO(data)).convert("RGB")
            edge = image.width / GRID
            features(image)
            for row in range(GRID):
                for column in range(GRID):
                    features(
                        image.crop(
                            (
                                round(column * edge),
                                round(row * edge),
                                round((column + 1) * edge),
                                round((row + 1) * edge),
                            )
                        )
                    )
            found.append(time.perf_counter() - began)
        return found

    measure()
    return measure
