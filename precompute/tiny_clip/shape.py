"""The small CLIP: its tokenizer, its architecture, and how images become embeddings."""

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from precompute.encoders.images import MEAN, STD
from precompute.world.vocabulary import words_of_the_world

SIDE, PATCH = 112, 16
WIDTH, LAYERS, TEXT_WIDTH, TEXT_LAYERS, JOINT, CONTEXT = 160, 5, 128, 3, 160, 48


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with one token per word of the world's grammar; other words are spelled in letters.

    EOS has the highest id, as CLIP's pooling needs it.
    """
    words = words_of_the_world()
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = [
        "[PAD]",
        "[UNK]",
        "[BOS]",
        *words,
        *(x for x in letters if x not in words),
        *("##" + x for x in letters),
        "[EOS]",
    ]
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
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": WIDTH // 32,
            "hidden_act": "gelu",
            "image_size": SIDE,
            "patch_size": PATCH,
            "projection_dim": JOINT,
        },
        text_config={
            "hidden_size": TEXT_WIDTH,
            "intermediate_size": 4 * TEXT_WIDTH,
            "num_hidden_layers": TEXT_LAYERS,
            "num_attention_heads": TEXT_WIDTH // 32,
            "hidden_act": "gelu",
            "vocab_size": len(tokenizer),
            "max_position_embeddings": CONTEXT,
            "projection_dim": JOINT,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        projection_dim=JOINT,
    )
    config.tipai_small_world_only = True
    config.tipai_patches = "tiles"
    return CLIPModel(config)


def shrink(images: np.ndarray) -> np.ndarray:
    """u8[n, 224, 224, 3] to u8[n, 112, 112, 3] by the mean of two by two pixels: what Pillow's BOX resampling does."""
    top, bottom = images[:, 0::2].astype(np.uint16), images[:, 1::2]
    rows = top + bottom
    return ((rows[:, :, 0::2] + rows[:, :, 1::2] + 2) >> 2).astype(np.uint8)


def to_pixels(images: torch.Tensor) -> torch.Tensor:
    """u8[n, 112, 112, 3] to normalised f32[n, 3, 112, 112]."""
    mean, std = torch.tensor(MEAN, device=images.device), torch.tensor(STD, device=images.device)
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def embed_text(model: CLIPModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Normalised text embeddings [n, d]."""
    return F.normalize(
        model.text_projection(model.text_model(input_ids=ids, attention_mask=mask).pooler_output).float(), dim=-1
    )


def embed_images(model: CLIPModel, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised image embeddings [n, d] and patch embeddings [n, 49, d] (post_layernorm, projection)."""
    out = model.vision_model(pixel_values=pixels)
    patches = model.visual_projection(model.vision_model.post_layernorm(out.last_hidden_state[:, 1:]))
    return F.normalize(model.visual_projection(out.pooler_output).float(), dim=-1), F.normalize(patches.float(), dim=-1)
