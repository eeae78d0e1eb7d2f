"""The phrases of prompts: taken apart, embedded by the encoder, and as arrays for the heads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tipai_jax.auditor.embeddings import EmbeddedPhrases
from tipai_jax.store import MOST_PHRASES, PHRASE_KINDS

if TYPE_CHECKING:
    from precompute.encoders.clip import ClipEncoder

__all__ = ["embed_phrases"]


def embed_phrases(prompts: Sequence[str], encoder: "ClipEncoder", *, batch_size: int) -> EmbeddedPhrases:
    """Take prompts apart and embed each different phrase once.

    Args:
        prompts: the texts.
        encoder: the frozen encoder.
        batch_size: phrases per forward pass, at most.
    """
    from precompute.phrases import embedded_forms, take_apart

    apart = [take_apart(prompt) for prompt in prompts]
    forms = [[embedded_forms(phrase) for phrase in phrases] for phrases in apart]
    row = {text: place for place, text in enumerate(dict.fromkeys(t for each in forms for pair in each for t in pair))}
    size = min(batch_size, 1 << max(len(row) - 1, 0).bit_length())
    embedded = encoder.encode_text(list(row), batch_size=size).text if row else np.zeros((0, encoder.fingerprint.d))
    shape = len(prompts), MOST_PHRASES
    filled = lambda value, dtype, *more: np.full((*shape, *more), value, dtype)
    found = EmbeddedPhrases(
        text=filled(0, np.float16, encoder.fingerprint.d),
        bare=filled(0, np.float16, encoder.fingerprint.d),
        kind=filled(0, np.int8),
        count=filled(0, np.int8),
        subject=filled(-1, np.int8),
        object=filled(-1, np.int8),
        present=filled(False, bool),
        span=filled(-1, np.int32, 2),
    )
    for i, (phrases, texts) in enumerate(zip(apart, forms, strict=True)):
        for j, (phrase, (text, bare)) in enumerate(zip(phrases, texts, strict=True)):
            found.text[i, j], found.bare[i, j] = embedded[row[text]], embedded[row[bare]]
            found.kind[i, j], found.count[i, j] = PHRASE_KINDS.index(phrase.kind), phrase.count
            found.subject[i, j], found.object[i, j] = phrase.arguments
            found.present[i, j], found.span[i, j] = True, (phrase.start, phrase.end)
    return found
