"""Train the default encoder: a small CLIP that knows the small world and nothing else.

    python scripts/train_tiny_clip.py --workdir runs/tiny_clip --steps 6000 --out precompute/assets/tiny_clip

It owns the model's shape, its tokenizer, its losses and its card. Scenes are freshly drawn, never read from disk, and leave out the combinations of
object and colour that the test split keeps for itself. The same command resumes from `workdir/last.pt`; `--export-only` writes the folder from it.

Four losses, all cosine similarities times a learned scale:
    contrastive  every picture against every caption of the batch, both ways (CLIP)
    square       each of two scenes against its own caption and the other's, which differ in one thing: the hard negative, both ways
    region       each patch token that lies in a thing's box (after post_layernorm and projection) against the phrases "a COLOUR OBJECT" of the batch
    crop         crops around single things, whole-image embedding, against the same phrases
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from precompute.world.draw import draw
from precompute.world.scene import Item, Phrase, Scene
from precompute.world.square import CATEGORIES, DIFFICULTIES, Square, sample
from precompute.world.vocabulary import BACKGROUNDS, BOARDS, COLOURS, COUNT_WORDS, RELATIONS, THINGS, WORDS, held_out_combinations

SIDE, PATCH, GRID = 112, 16, 7
WIDTH, LAYERS, TEXT_WIDTH, TEXT_LAYERS, JOINT, CONTEXT = 160, 5, 128, 3, 160, 48
SQUARES = 64
CROPS = 16
CATEGORY_WEIGHTS = np.array([0.17, 0.17, 0.2, 0.24, 0.22])
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word of the world's grammar; any other word is spelled in letters. EOS has the highest id (see CLIP's pooling)."""
    words = {"a", "an", "and", "nothing", "else", "that", "says", ",", '"', *BOARDS, *COUNT_WORDS, *COLOURS, *WORDS}
    for text in (*RELATIONS, *BACKGROUNDS.values()):
        words.update(text.split())
    for thing in THINGS:
        words.update((thing.name, thing.plural))
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = ["[PAD]", "[UNK]", "[BOS]", *sorted(words), *(x for x in letters if x not in words), *("##" + x for x in letters), "[EOS]"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=60))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", vocabulary["[BOS]"]), ("[EOS]", vocabulary["[EOS]"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        model_max_length=CONTEXT,
        padding_side="right",
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """A CLIPModel of the shape given at the top of this file, freshly initialised."""
    config = CLIPConfig(
        vision_config={
            "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": WIDTH // 32, "hidden_act": "gelu",
            "image_size": SIDE, "patch_size": PATCH, "projection_dim": JOINT,
        },
        text_config={
            "hidden_size": TEXT_WIDTH, "intermediate_size": 4 * TEXT_WIDTH, "num_hidden_layers": TEXT_LAYERS, "num_attention_heads": TEXT_WIDTH // 32, "hidden_act": "gelu",
            "vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, "projection_dim": JOINT,
            "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
        },
        projection_dim=JOINT,
    )  # fmt: skip
    config.tipai_small_world_only = True
    config.tipai_patches = "raw"
    return CLIPModel(config)


def shrink(pictures: np.ndarray) -> np.ndarray:
    """u8[n, 224, 224, 3] to u8[n, 112, 112, 3] by the mean of two by two pixels: what Pillow's BOX resampling does."""
    top, bottom = pictures[:, 0::2].astype(np.uint16), pictures[:, 1::2]
    rows = top + bottom
    return ((rows[:, :, 0::2] + rows[:, :, 1::2] + 2) >> 2).astype(np.uint8)


def to_pixels(pictures: torch.Tensor) -> torch.Tensor:
    """u8[n, 112, 112, 3] to normalised f32[n, 3, 112, 112]."""
    mean, std = torch.tensor(MEAN, device=pictures.device), torch.tensor(STD, device=pictures.device)
    return ((pictures.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def phrase_of(item: Item) -> str:
    """What the region and crop losses call a thing."""
    return Phrase(item.name, 1, item.colour or None, item.word).text()


def cells_of(scene: Scene) -> np.ndarray:
    """For each of the 49 cells the index of the item that covers at least half of it, in front of the others; -1 for none."""
    cells = np.full((GRID, GRID), -1)
    edges = np.arange(GRID + 1) * (224 / GRID)
    for index, item in enumerate(scene.items):
        across = np.clip(np.minimum(edges[1:], item.box.x2) - np.maximum(edges[:-1], item.box.x1), 0, None)
        down = np.clip(np.minimum(edges[1:], item.box.y2) - np.maximum(edges[:-1], item.box.y1), 0, None)
        share = np.outer(down, across) / (edges[1] ** 2)
        cells[share >= min(0.5, 0.99 * share.max())] = index
    return cells.reshape(-1)


def cut(rng: np.random.Generator, picture: np.ndarray, item: Item) -> np.ndarray:
    """A square crop around (a part of) a thing, 28 to 120 px wide, at 112 x 112."""
    from PIL import Image

    side = int(rng.integers(28, 121))
    x = int(np.clip(rng.integers(item.box.x1, item.box.x2) - side // 2, 0, 224 - side))
    y = int(np.clip(rng.integers(item.box.y1, item.box.y2) - side // 2, 0, 224 - side))
    return np.asarray(Image.fromarray(picture[y : y + side, x : x + side]).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


class Stream(torch.utils.data.IterableDataset):
    """Batches of freshly drawn squares; batch `i` is a function of (seed, i) alone."""

    def __init__(self, *, seed: int, first: int, last: int) -> None:
        self.seed, self.first, self.last = seed, first, last

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        start, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        tokenizer = build_tokenizer()
        for step in range(self.first + start, self.last, stride):
            yield make_batch(np.random.default_rng([self.seed, step]), tokenizer, gentle=step < 800)


def make_batch(rng: np.random.Generator, tokenizer: PreTrainedTokenizerFast, *, gentle: bool) -> dict[str, torch.Tensor]:
    """Pictures, captions, phrases and their indices for one step. `gentle`: easy scenes only."""
    squares = []
    for _ in range(SQUARES):
        difficulty = "easy" if gentle else str(rng.choice(DIFFICULTIES, p=(0.35, 0.35, 0.3)))
        squares.append(
            sample(rng, category=CATEGORIES[rng.choice(5, p=CATEGORY_WEIGHTS)], difficulty=difficulty, banned=held_out_combinations())
        )
    scenes = [scene for square in squares for scene in square.scenes]
    captions = [claim.text() for square in squares for claim in square.claims]
    pictures = np.stack([draw(scene) for scene in scenes])
    phrases: dict[str, int] = {}
    targets = np.full((len(scenes), GRID * GRID), -1)
    for row, scene in enumerate(scenes):
        names = np.array([phrases.setdefault(phrase_of(item), len(phrases)) for item in scene.items] + [-1])
        targets[row] = names[cells_of(scene)]
    crops, crop_targets = [], []
    for row in rng.choice(len(scenes), CROPS, replace=False).tolist():
        item = scenes[row].items[rng.integers(len(scenes[row].items))]
        crops.append(cut(rng, pictures[row], item))
        crop_targets.append(phrases[phrase_of(item)])
    caption_tokens = tokenizer(captions, padding=True, return_tensors="pt")
    phrase_tokens = tokenizer(list(phrases), padding=True, return_tensors="pt")
    return {
        "pictures": torch.from_numpy(np.concatenate([shrink(pictures), np.stack(crops)])),
        "captions": caption_tokens.input_ids, "captions_mask": caption_tokens.attention_mask,
        "phrases": phrase_tokens.input_ids, "phrases_mask": phrase_tokens.attention_mask,
        "targets": torch.from_numpy(targets), "crop_targets": torch.tensor(crop_targets),
    }  # fmt: skip


def embed_text(model: CLIPModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Normalised text embeddings [n, d]."""
    return F.normalize(model.text_projection(model.text_model(input_ids=ids, attention_mask=mask).pooler_output), dim=-1)


def embed_pictures(model: CLIPModel, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised image embeddings [n, d] and patch embeddings [n, 49, d] (post_layernorm, projection)."""
    out = model.vision_model(pixel_values=pixels)
    patches = model.visual_projection(model.vision_model.post_layernorm(out.last_hidden_state[:, 1:]))
    return F.normalize(model.visual_projection(out.pooler_output), dim=-1), F.normalize(patches, dim=-1)


def losses(model: CLIPModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The four losses of the file's docstring."""
    n = 2 * SQUARES
    image, patches = embed_pictures(model, to_pixels(batch["pictures"]))
    text = embed_text(model, batch["captions"], batch["captions_mask"])
    phrase = embed_text(model, batch["phrases"], batch["phrases_mask"])
    scale = model.logit_scale.exp().clamp(max=100.0)
    logits = scale * image[:n] @ text.T
    own = torch.arange(n, device=logits.device)
    four = torch.stack(
        [logits[0::2, 0::2].diagonal(), logits[0::2, 1::2].diagonal(), logits[1::2, 0::2].diagonal(), logits[1::2, 1::2].diagonal()]
    )
    aa, ab, ba, bb = four
    wanted = batch["targets"] >= 0
    region = scale * patches[:n][wanted] @ phrase.T
    return {
        "contrastive": (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2,
        "square": sum(F.softplus(-gap).mean() for gap in (aa - ab, bb - ba, aa - ba, bb - ab)) / 2,
        "region": F.cross_entropy(region, batch["targets"][wanted]),
        "crop": 0.3 * F.cross_entropy(scale * image[n:] @ phrase.T, batch["crop_targets"]),
    }


def rate(step: int, total: int, peak: float) -> float:
    """Learning rate: 300 steps of warm-up, constant, then to zero as a half cosine over the last 30 per cent."""
    tail = max(0.0, (step - 0.7 * total) / (0.3 * total))
    return peak * min(1.0, (step + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, tail)))


@dataclass(frozen=True)
class Trial:
    """Squares of one category and difficulty, drawn from chance that training never uses."""

    category: str
    difficulty: str
    squares: list[Square]


def trials(number: int) -> list[Trial]:
    """`number` unseen squares for every category and difficulty."""
    rng = np.random.default_rng([2**31, 7])
    draw_one = lambda c, d: sample(rng, category=c, difficulty=d, banned=held_out_combinations())
    return [Trial(c, d, [draw_one(c, d) for _ in range(number)]) for c in CATEGORIES for d in DIFFICULTIES]


@torch.no_grad()
def examine(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, every: list[Trial]) -> list[dict[str, float | str | int]]:
    """Per trial: `caption_accuracy` (a picture prefers its own caption to the hard negative) and `pair_auc` (a caption prefers its own picture)."""
    device, rows = next(model.parameters()).device, []
    for trial in every:
        pictures = shrink(np.stack([draw(scene) for square in trial.squares for scene in square.scenes]))
        tokens = tokenizer([claim.text() for square in trial.squares for claim in square.claims], padding=True, return_tensors="pt").to(
            device
        )
        image, _ = embed_pictures(model, to_pixels(torch.from_numpy(pictures).to(device)))
        text = embed_text(model, tokens.input_ids, tokens.attention_mask)
        own = (image * text).sum(-1).reshape(-1, 2)
        cross = (image * text.reshape(-1, 2, text.shape[-1]).flip(1).reshape_as(text)).sum(-1).reshape(-1, 2)
        rows.append(
            {
                "category": trial.category, "difficulty": trial.difficulty, "n": own.numel(),
                "caption_accuracy": round((own > cross).float().mean().item(), 4), "pair_auc": round((own > cross.flip(1)).float().mean().item(), 4),
            }
        )  # fmt: skip
    return rows


def table(rows: list[dict[str, float | str | int]], key: str) -> str:
    """A Markdown table, categories down, difficulties across."""
    cell = {(r["category"], r["difficulty"]): r[key] for r in rows}
    lines = ["| category | " + " | ".join(DIFFICULTIES) + " |", "|---|" + "---|" * len(DIFFICULTIES)]
    return "\n".join(lines + [f"| {c} | " + " | ".join(f"{cell[c, d]:.3f}" for d in DIFFICULTIES) + " |" for c in CATEGORIES])


CARD = """# tiny_clip: the default encoder

**Small world only.** This CLIP was trained on scenes of recoloured OpenMoji pictograms drawn by `precompute/world` and on nothing else. It knows no
photographs; every store, run and picture made with it carries the stamp `small_world_only`.

- Shape: `transformers.CLIPModel`, {millions:.2f} million parameters, {side} px, {grid}x{grid} patches, joint width {joint}, weights f16.
- Data: {scenes:,} freshly drawn scenes ({steps:,} steps of {batch}), half of them the hard negatives of the other half, and crops of them; the combinations
  of object and colour that the test split keeps for itself never occurred.
- Made by `{command}`.
- Pictograms: OpenMoji, CC BY-SA 4.0.

Measured on {n} unseen pairs a cell.

## A picture prefers its own caption to the one that differs in one thing

{captions}

## A caption prefers its own picture to the one that differs in one thing (zero-shot pair AUC)

{pairs}
"""


def export(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, out: Path, *, steps: int, command: str) -> None:
    """Write the folder that `--encoder tiny` reads: weights in f16, configuration, tokenizer, preprocessing, card and figures."""
    from transformers import CLIPImageProcessorPil

    out.mkdir(parents=True, exist_ok=True)
    half = CLIPModel(model.config)
    half.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    rows = examine(half.eval(), tokenizer, trials(400))
    for row in rows:
        print(row)
    save_file(
        {name: value.half().contiguous() for name, value in half.state_dict().items() if "position_ids" not in name},
        out / "model.safetensors",
        {"format": "pt"},
    )
    half.config.save_pretrained(out)
    tokenizer.save_pretrained(out)
    CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        resample=4,
        image_mean=list(MEAN),
        image_std=list(STD),
        do_convert_rgb=True,
    ).save_pretrained(out)
    (out / "figures.json").write_text(json.dumps({"steps": steps, "scenes": steps * 2 * SQUARES, "rows": rows}, indent=1) + "\n")
    (out / "README.md").write_text(
        CARD.format(
            millions=sum(p.numel() for p in model.parameters()) / 1e6, side=SIDE, grid=GRID, joint=JOINT, scenes=steps * 2 * SQUARES, steps=steps, batch=2 * SQUARES,
            command=command, n=rows[0]["n"], captions=table(rows, "caption_accuracy"), pairs=table(rows, "pair_auc"),
        )
    )  # fmt: skip


def train(args: argparse.Namespace) -> tuple[CLIPModel, PreTrainedTokenizerFast, int]:
    """Train, or go on training, up to `args.steps`."""
    torch.manual_seed(args.seed)
    device = torch.device(args.device)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer).to(device)
    decay = [p for p in model.parameters() if p.ndim >= 2]
    other = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": other, "weight_decay": 0.0}], lr=args.rate, betas=(0.9, 0.98), fused=True
    )
    args.workdir.mkdir(parents=True, exist_ok=True)
    last, step = args.workdir / "last.pt", 0
    if last.exists():
        state = torch.load(last, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        print(f"resumed at step {step}")
    if args.export_only or step >= args.steps:
        return model, tokenizer, step
    loader = torch.utils.data.DataLoader(
        Stream(seed=args.seed, first=step, last=args.steps),
        batch_size=None,
        num_workers=args.loaders,
        prefetch_factor=4,
        multiprocessing_context="spawn",
    )
    every, log, start, first = trials(40), (args.workdir / "log.jsonl").open("a"), time.monotonic(), step
    for batch in loader:
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps, args.rate)
        terms = losses(model, batch)
        optimizer.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            line = {"step": step, "lr": rate(step, args.steps, args.rate), **{k: round(v.item(), 4) for k, v in terms.items()}}
            line["scenes_per_s"] = round((step - first) * 2 * SQUARES / (time.monotonic() - start), 1)
            print(json.dumps(line), file=log, flush=True)
        if step % 500 == 0 or step == args.steps:
            part = last.with_suffix(".part")
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, part)
            part.replace(last)
            rows = examine(model.eval(), tokenizer, every)
            model.train()
            print(
                json.dumps({"step": step, "accuracy": {f"{r['category']}/{r['difficulty']}": r["caption_accuracy"] for r in rows}}),
                file=log,
                flush=True,
            )
    return model, tokenizer, step


def main() -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, default=Path("runs/tiny_clip"))
    parser.add_argument("--out", type=Path, default=Path("precompute/assets/tiny_clip"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--loaders", type=int, default=1, help="processes that draw scenes")
    parser.add_argument("--export-only", action="store_true", help="write --out from the last checkpoint, without training")
    args = parser.parse_args()
    model, tokenizer, step = train(args)
    command = f"python scripts/train_tiny_clip.py --steps {args.steps} --rate {args.rate:g} --seed {args.seed}"
    export(model.cpu().eval(), tokenizer, args.out, steps=step, command=command)


if __name__ == "__main__":
    main()
