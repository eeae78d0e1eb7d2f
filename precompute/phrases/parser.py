"""What takes prompts apart: our own chunker, or spaCy for those who have it, with its noun chunks and the words of
relation between them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from precompute.phrases.chunker import chunk_runs
from precompute.phrases.phrase import Phrase, at_most
from precompute.phrases.take_apart import take_apart
from tipai_jax.errors import UserError

__all__ = ["OWN", "find_parser"]

OWN = "own"
_MODEL = "en_core_web_sm"
Parse = Callable[[Sequence[str]], Sequence[tuple[Phrase, ...]]]


def find_parser(wanted: str) -> tuple[str, Parse]:
    """The parser of a name, and the name that a store keeps.

    Args:
        wanted: `own`, `spacy`, or `spacy:MODEL`.

    Raises:
        UserError: another name; spaCy or its model is not installed.
    """
    if wanted == OWN:
        return OWN, lambda prompts: [take_apart(prompt) for prompt in prompts]
    kind, _, model = wanted.partition(":")
    if kind != "spacy":
        raise UserError(f"--phrases {wanted}: expected own, spacy or spacy:MODEL")
    model = model or _MODEL
    try:
        import spacy  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UserError(
            f"--phrases {wanted}: spaCy is not installed; pip install spacy, or leave the option out"
        ) from None
    try:
        language = spacy.load(model)
    except OSError:
        raise UserError(
            f"--phrases {wanted}: spaCy has no model {model!r}; python -m spacy download {model}, or name another with "
            "--phrases spacy:MODEL"
        ) from None
    version = language.meta.get("version", "")
    return f"spacy {model} {version}".strip(), lambda prompts: [
        _phrases(prompt, document) for prompt, document in zip(prompts, language.pipe(prompts))
    ]


def _phrases(prompt: str, document: Any) -> tuple[Phrase, ...]:
    """The phrases of a parsed prompt; what spaCy sees no noun in is left to our own parser."""
    spans = [(part.start_char, part.end_char) for part in document.noun_chunks]
    if not spans or '"' in prompt or "“" in prompt:  # it does not know what a sign says
        return take_apart(prompt)
    return at_most(chunk_runs(prompt, spans), prompt) or take_apart(prompt)
