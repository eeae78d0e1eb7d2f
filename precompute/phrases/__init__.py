"""A prompt taken apart into its phrases: who has which colour, how many, where, and what is written on it.

It needs the standard library and the small world's vocabulary only, so that the auditor can do it for one prompt.
"""

from precompute.phrases.phrase import Phrase, at_most, embedded_forms, from_words, noun_kind
from precompute.phrases.take_apart import coverage, one_phrase, take_apart

__all__ = ["Phrase", "at_most", "coverage", "embedded_forms", "from_words", "noun_kind", "one_phrase", "take_apart"]
