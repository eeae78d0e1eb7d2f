"""A CLIP model with random weights, written as Hugging Face does, and a pairs folder to embed with it.

For tests of everything between images and a store that does not need an encoder that understands anything.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

WORDS = [
    "a",
    "red",
    "blue",
    "green",
    "cat",
    "dog",
    "boat",
    "left",
    "right",
    "of",
    "the",
    "on",
    "two",
    "three",
    "five",
    "sign",
    "says",
    "stop",
    "go",
    "and",
    "is",
    "very",
    "long",
]


def write_clip(
    folder: Path, *, image_size: int = 56, patch_size: int = 8, width: int = 32, d: int = 24, extra: dict | None = None
) -> Path:
    """Save a random `CLIPModel` with tokenizer and processor; returns the folder."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    vocabulary = {word: i for i, word in enumerate(["<pad>", "<unk>", "<start>", *WORDS, "<end>"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<start>", vocabulary["<start>"]), ("<end>", vocabulary["<end>"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=ends)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<start>", eos_token="<end>"
    )
    fast.save_pretrained(folder)
    config = CLIPConfig(
        text_config={
            "vocab_size": len(vocabulary),
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 12,
            "bos_token_id": vocabulary["<start>"],
            "eos_token_id": vocabulary["<end>"],
            "pad_token_id": vocabulary["<pad>"],
        },
        vision_config={
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": image_size,
            "patch_size": patch_size,
        },
        projection_dim=d,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIPModel(config)
        for parameter in model.parameters():  # biases and norms too, so that no term of a formula can hide
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    size = {"shortest_edge": image_size}
    CLIPImageProcessorPil(size=size, crop_size={"height": image_size, "width": image_size}).save_pretrained(folder)
    if extra:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | extra))
    return folder


def write_pairs(
    folder: Path, *, pairs: int = 12, size: int = 56, seed: int = 0, rows: list[dict] | None = None
) -> Path:
    """Draw images of random blocks and a `pairs.jsonl`; each two rows swap their two images, as the scenes do."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(pairs):
        scene, side = divmod(i, 2)
        names = [f"images/{scene:04d}{letter}.png" for letter in "ab"]
        if side == 0:
            for name in names:
                blocks = rng.integers(0, 256, (7, 7, 3), dtype=np.uint8)
                Image.fromarray(blocks.repeat(size // 7, 0).repeat(size // 7, 1)).save(folder / name)
        words = rng.choice(WORDS, 4)
        box = {"bbox": [0, 0, size // 7, 2 * (size // 7)], "category": "attribute"}
        lines.append(
            {
                "pair_id": f"pair{i:04d}",
                "prompt": f"{' '.join(words)} {WORDS[i % len(WORDS)]}",
                "group": f"g{scene}",
                "chosen_image": names[side],
                "rejected_image": names[1 - side],
                "chosen_score": 0.9,
                "rejected_score": 0.25,
                "unfaithful_patches": [box],
                "difficulty": "easy",
                "split": ("train", "validation", "test")[scene % 3],
            }
        )
    for line, change in zip(lines, rows or []):
        line.update(change)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
