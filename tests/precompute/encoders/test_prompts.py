import numpy as np
import pytest

from precompute.encoders.prompts import PromptTokens, split_words
from tipai_jax.errors import UserError


@pytest.fixture(scope="module")
def prompts(clip):
    from transformers import AutoTokenizer

    return PromptTokens(AutoTokenizer.from_pretrained(clip, local_files_only=True), 12)


def test_split_is_even_and_keeps_words():
    words = [[i] for i in range(11)]
    assert [len(chunk) for chunk in split_words(words, 10)] == [6, 5]
    assert [len(chunk) for chunk in split_words(words, 4)] == [4, 4, 3]
    assert split_words([[1, 2, 3], [4, 5], [6]], 4) == [[1, 2, 3], [4, 5, 6]]
    assert split_words([[1, 2, 3, 4, 5]], 2) == [[1, 2], [3, 4], [5]]  # one word too long for any chunk
    assert split_words([], 4) == [[]]


@pytest.mark.parametrize("seed", range(20))
def test_split_loses_nothing_and_fits(seed):
    rng = np.random.default_rng(seed)
    words = [list(rng.integers(0, 99, rng.integers(1, 6))) for _ in range(rng.integers(1, 40))]
    chunks = split_words(words, 10)
    assert [token for chunk in chunks for token in chunk] == [token for word in words for token in word]
    assert all(0 < len(chunk) <= 10 for chunk in chunks)


def test_tokens_of_short_and_long_prompts(prompts):
    short, long, odd = "a red cat", "a very very very very long red cat left of the blue dog", "a purple cat"
    tokens = prompts([short, long, odd])
    assert tokens.n_tokens.tolist() == [5, 15, 5]
    assert tokens.chunked.tolist() == [False, True, False]
    assert tokens.unknown.tolist() == [0, 0, 1]
    assert tokens.owner.tolist() == [0, 1, 1, 2]
    starts, ends = {s[0] for s in tokens.sequences}, {s[-1] for s in tokens.sequences}
    assert len(starts) == len(ends) == 1
    assert all(len(sequence) <= 12 for sequence in tokens.sequences)
    assert (
        tokens.sequences[1][1:-1] + tokens.sequences[2][1:-1]
        == prompts._tokenizer(long, add_special_tokens=False)["input_ids"]
    )


def test_padding_fills_rows_and_columns(prompts):
    batch = prompts.pad_batch([[5, 6, 7], [5, 7]], 4)
    np.testing.assert_array_equal(batch, [[5, 6, 7], [5, 7, prompts.pad], [5, 6, 7], [5, 6, 7]])


def test_a_tokenizer_without_ends_is_refused():
    with pytest.raises(UserError, match="expected a start and an end token"):
        PromptTokens(lambda text: {"input_ids": []}, 12)
