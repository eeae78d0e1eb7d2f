"""Prompts as token sequences that fit the encoder; a prompt that is too long is divided into chunks of whole words."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tipai_jax.errors import UserError

__all__ = ["PromptTokens", "Tokens", "split_words"]


@dataclass(frozen=True)
class Tokens:
    """The tokens of some prompts.

    Attributes:
        sequences: token numbers with special tokens; every one fits the encoder.
        owner: i64[sequences], the prompt that a sequence belongs to; chunks of a prompt are neighbours.
        n_tokens: i32[prompts], tokens of the whole prompt with its special tokens.
        chunked: bool[prompts], more than one sequence.
        unknown: i32[prompts], tokens that are not in the vocabulary.
    """

    sequences: list[list[int]]
    owner: np.ndarray
    n_tokens: np.ndarray
    chunked: np.ndarray
    unknown: np.ndarray


def split_words(words: list[list[int]], capacity: int) -> list[list[int]]:
    """Divide the tokens of words into as few and as equal chunks as possible; only a word that is too long is divided.

    Args:
        words: the tokens of each word in order.
        capacity: largest number of tokens of a chunk.

    Returns:
        The chunks in order, none empty; one empty chunk for no words.
    """
    pieces = [word[i : i + capacity] for word in words for i in range(0, len(word), capacity)]
    total = sum(len(piece) for piece in pieces)
    least = max(1, -(-total // capacity))
    target = -(-total // least)
    chunks: list[list[int]] = [[]]
    for piece in pieces:
        here = len(chunks[-1])
        if here and (here + len(piece) > capacity or here >= target):
            chunks.append([])
        chunks[-1] = chunks[-1] + piece
    return chunks


class PromptTokens:
    """A tokenizer for an encoder of a certain length.

    Attributes:
        length: largest number of tokens of a sequence, special tokens included.
        pad: number of the padding token.
    """

    def __init__(self, tokenizer: Any, length: int) -> None:
        """Wrap a fast tokenizer.

        Raises:
            UserError: it does not put one token before and one after a text, as CLIP needs.
        """
        ends = tokenizer("")["input_ids"]
        if len(ends) != 2:
            raise UserError(
                f"the encoder's tokenizer gives {len(ends)} tokens for an empty text, expected a start and an end token"
            )
        self._tokenizer = tokenizer
        self._start, self._end = ends
        self.length = length
        self.pad = ends[1] if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
        unknown = tokenizer.unk_token_id
        self._unknown = None if unknown in (None, self._start, self._end) else int(unknown)

    def __call__(self, prompts: list[str]) -> Tokens:
        """Tokenise; a prompt longer than `length` becomes several sequences."""
        capacity = self.length - 2
        encoded = self._tokenizer(prompts, add_special_tokens=False, verbose=False)
        sequences: list[list[int]] = []
        owner: list[int] = []
        for i, ids in enumerate(encoded["input_ids"]):
            chunks = [ids] if len(ids) <= capacity else split_words(_words(ids, encoded.word_ids(i)), capacity)
            sequences += [[self._start, *chunk, self._end] for chunk in chunks]
            owner += [i] * len(chunks)
        owners = np.array(owner, dtype=np.int64)
        return Tokens(
            sequences=sequences,
            owner=owners,
            n_tokens=np.array([len(ids) + 2 for ids in encoded["input_ids"]], dtype=np.int32),
            chunked=np.bincount(owners, minlength=len(prompts)) > 1,
            unknown=np.array(
                [sum(token == self._unknown for token in ids) for ids in encoded["input_ids"]], dtype=np.int32
            ),
        )

    def pad_batch(self, sequences: list[list[int]], rows: int) -> np.ndarray:
        """i64[rows, longest]: sequences padded to the longest of them, the first repeated to fill the batch."""
        filled = sequences + [sequences[0]] * (rows - len(sequences))
        batch = np.full((rows, max(map(len, filled))), self.pad, dtype=np.int64)
        for row, sequence in zip(batch, filled):
            row[: len(sequence)] = sequence
        return batch


def _words(ids: list[int], word_ids: list[int | None]) -> list[list[int]]:
    words: list[list[int]] = []
    for i, token in enumerate(ids):
        if i and word_ids[i] is not None and word_ids[i] == word_ids[i - 1]:
            words[-1].append(token)
        else:
            words.append([token])
    return words
