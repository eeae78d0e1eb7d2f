"""Any English prompt in phrases, without a tagger: closed classes of words, and four rules about what is left.

From left to right, words are gathered into noun phrases. A noun phrase ends at punctuation, a conjunction, a pronoun, a
verb form of "to be", "with" and the like, at a word of relation ("left of", "under"), and where a new determiner or
number stands. Then:

1. A participle or a frequent verb behind a noun is a relation if something follows that it can connect ("a child
   *reading* a book", "a cat *sitting on* a box"), else an attribute ("two dogs *playing*"). Two noun phrases never
   stand side by side, so the last word before the second is a verb.
2. "in", "on", "at" or "inside" before a word of place or time make one phrase: "in a modern kitchen".
3. What is quoted belongs to the thing that "says" it: 'a sign with the word "open"'.
4. "no" and "without" make the phrase one of the kind `other`: it is not to be seen.

A relation connects the nearest thing before it in the sentence with the one that follows.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from precompute.phrases.nouns import is_plural
from precompute.phrases.phrase import QUOTES, THINGS, TOKEN, Phrase, from_words
from precompute.phrases.words import (
    ATTRIBUTES,
    COLLECTIVES,
    CONJUNCTIONS,
    DETERMINERS,
    FILLERS,
    FRAMES,
    MODES,
    NEGATIONS,
    NOT_VERBS,
    NUMBERS,
    PARTICIPLES,
    PLACES,
    PREPOSITIONS,
    PRONOUNS,
    RELATIONS,
    SAYING,
    SIMPLE_VERBS,
)

__all__ = ["FUNCTION_WORDS", "chunk", "chunk_runs"]

FUNCTION_WORDS = (DETERMINERS - {"both"}) | CONJUNCTIONS | PRONOUNS | MODES | FILLERS | PREPOSITIONS | {"of", "side"}
"""Words that need not lie in a phrase."""
_GLUE = CONJUNCTIONS | PRONOUNS | MODES | FILLERS
_FRAME_STARTS = frozenset(words[0] for words in FRAMES)
_UNSAID = DETERMINERS | NEGATIONS
_ENDING = _GLUE | PREPOSITIONS
_NEVER_VERBS = NOT_VERBS | PREPOSITIONS
_PLACE_WORDS = frozenset(("in", "on", "at", "inside", "during"))
_MANNERS = frozenset(("style", "shape", "form", "manner"))
_SENTENCE_ENDS = ".;!?\n"


@dataclass(slots=True)
class _Token:
    text: str
    start: int
    end: int
    low: str


@dataclass
class _Relation:
    """Words of relation before it is known what they connect: those of a verb, those of a preposition, or both."""

    verb: tuple[int, int] | None
    preposition: tuple[int, int] | None


@dataclass
class _Chunker:
    """The state of one prompt: the words of the noun phrase that is being gathered (`run`), and what is finished."""

    prompt: str
    tokens: list[_Token]
    run: list[_Token] = field(default_factory=list)
    done: list[tuple[Phrase | _Relation, int]] = field(default_factory=list)  # each with the number of its sentence
    sentence: int = 0
    copula: bool = False  # nothing but forms of "to be" since the last phrase

    def low(self, i: int) -> str:
        return self.tokens[i].low if i < len(self.tokens) else ""

    def content(self) -> list[_Token]:
        return [token for token in self.run if token.low not in _UNSAID and not _is_number(token.low)]

    def chunk(self) -> list[Phrase]:
        """All phrases in order."""
        i = 0
        while i < len(self.tokens):
            i = self.step(i)
        self.flush()
        return _joined(self.prompt, self.done)

    def take(self, first: int, last: int) -> int:
        """Take the tokens first..last-1 as one noun phrase, which somebody else has found."""
        self.flush()
        self.run = self.tokens[first:last]
        self.flush()
        return last

    def step(self, i: int) -> int:
        """Take the token i, and what belongs to it; returns the next one's number."""
        token, low = self.tokens[i], self.low(i)
        if (end := self.quoted(i)) is not None:
            return end
        if not self.run and (length := _frame(self.tokens, i)):
            return i + length
        if self.is_verb(i):
            return self.verb(i)
        if length := _relation(self.tokens, i):
            self.flush()
            self.relate(_Relation(None, (token.start, self.tokens[i + length - 1].end)))
            return i + length
        if not token.text[0].isalnum():
            self.flush()
            self.copula = False
            self.sentence += token.text in _SENTENCE_ENDS
            return i + 1
        if low == "and" and self.content() and self.content()[-1].low in ATTRIBUTES and self.low(i + 1) in ATTRIBUTES:
            self.run.append(token)  # "a black and white cat"
            return i + 1
        if low in _GLUE and not (low == "of" and self.content()):
            self.flush()
            self.copula = low in MODES and bool(self.done)
            return i + 1
        if low == "of":
            return self.complement(i)
        if low in NEGATIONS:
            self.flush()
        elif (low in DETERMINERS or _is_number(low)) and self.content():
            self.split_verb()
        self.run.append(token)
        return i + 1

    def complement(self, i: int) -> int:
        """ "of": "a cup of coffee" is one phrase, "the top of a mountain" two, "a stack of 3 plates" one."""
        content, following = self.content(), self.low(i + 1)
        collective = len(content) == 1 and content[0].low in COLLECTIVES
        if content and following and (collective or not (following in DETERMINERS or _is_number(following))):
            word = self.tokens[i + 1].text[0].isalnum() and following not in _GLUE
            self.run += self.tokens[i : i + 2] if word else []
            if word:
                return i + 2
        self.flush()
        return i + 1

    def quoted(self, i: int) -> int | None:
        """A quotation that begins here, behind the words that link it to the thing gathered so far."""
        last = i
        while self.low(last) in SAYING or (last > i and self.low(last) == ":"):
            last += 1
        if last >= len(self.tokens) or self.tokens[last].text[0] not in QUOTES or len(self.tokens[last].text) < 3:
            return None
        if last > i and not self.content():
            return None
        start = self.run[0].start if self.run else self.tokens[last].start
        self.run = []
        self.finish(from_words(self.prompt[start : self.tokens[last].end], start=start))
        return last + 1

    def is_verb(self, i: int) -> bool:
        """Whether the token is a verb behind a noun."""
        low, following = self.low(i), self.low(i + 1)
        ends = not following or not following[0].isalnum() or following in _ENDING
        opens = following in DETERMINERS or _is_number(following)
        if low in _NEVER_VERBS:
            return False
        ing, past = len(low) > 4 and low.endswith("ing"), low in PARTICIPLES or (len(low) > 4 and low.endswith("ed"))
        content = self.content()
        if not content:
            here = bool(self.done) and self.done[-1][1] == self.sentence and not self.run
            return here and ((ing and (ends or opens)) or (past and following in PREPOSITIONS))
        noun = content[-1].low
        if low in SIMPLE_VERBS and (ends or opens):
            return low.endswith("s") != is_plural(noun)
        return noun not in ATTRIBUTES and (ing or (past and ends))

    def verb(self, i: int) -> int:
        """A verb with its adverbs and its preposition."""
        self.flush()
        first = self.tokens[i]
        i += 1
        while self.low(i).endswith("ly") and len(self.low(i)) > 4:
            i += 1
        span = (first.start, self.tokens[i - 1].end)
        length = _relation(self.tokens, i) or int(
            self.low(i) in ("with", "by", "as", "of", "from", "like", "to", "for")
        )
        preposition = (self.tokens[i].start, self.tokens[i + length - 1].end) if length else None
        self.relate(_Relation(span, preposition))
        return i + length

    def split_verb(self) -> None:
        """A new noun phrase begins right behind the last: the last word between them is a verb."""
        content = self.content()
        if len(content) > 1:
            verb = self.run.pop()
            self.flush()
            self.relate(_Relation((verb.start, verb.end), None))
        elif self.done and len(self.run) == 1:
            verb, self.run = self.run[0], []
            self.relate(_Relation((verb.start, verb.end), None))
        else:
            self.flush()

    def flush(self) -> None:
        """End the noun phrase that is being gathered."""
        run, content, self.run = self.run, self.content(), []
        if not run:
            return
        start, end = run[0].start, run[-1].end
        said = tuple(token.low for token in content)
        if self.copula and said and set(said) <= ATTRIBUTES and len(said) == len(run) and self.described(said, end):
            return
        if content or any(token.low in NEGATIONS for token in run):
            self.finish(from_words(self.prompt[start:end], start=start))

    def described(self, said: tuple[str, ...], end: int) -> bool:
        """Whether the words up to `end` became attributes of the thing before them ("the apple is red")."""
        thing, sentence = self.done[-1]
        if not isinstance(thing, Phrase) or thing.kind not in THINGS or sentence != self.sentence:
            return False
        kind = "attribute" if thing.kind == "object" else thing.kind
        text, attributes = self.prompt[thing.start : end], thing.attributes + said
        self.done[-1] = dataclasses.replace(thing, text=text, end=end, kind=kind, attributes=attributes), sentence
        return True

    def finish(self, phrase: Phrase) -> None:
        self.done.append((phrase, self.sentence))
        self.copula = False

    def relate(self, relation: _Relation) -> None:
        self.done.append((relation, self.sentence))
        self.copula = False


def chunk(prompt: str) -> list[Phrase]:
    """The phrases of any English prompt, in order, not overlapping; none where it holds no word with a meaning."""
    return _Chunker(prompt, _tokens(prompt)).chunk()


def chunk_runs(prompt: str, runs: Sequence[tuple[int, int]]) -> list[Phrase]:
    """As `chunk`, where the noun phrases are known already: the spans of their characters, in order."""
    chunker = _Chunker(prompt, _tokens(prompt))
    starts = {start: end for start, end in runs}
    i = 0
    while i < len(chunker.tokens):
        end = starts.get(chunker.tokens[i].start)
        if end is None:
            i = chunker.step(i)
        else:
            i = chunker.take(i, max(i + 1, sum(token.end <= end for token in chunker.tokens)))
    chunker.flush()
    return _joined(prompt, chunker.done)


def _tokens(prompt: str) -> list[_Token]:
    return [_Token(match[0], match.start(), match.end(), match[0].lower()) for match in TOKEN.finditer(prompt)]


def _is_number(word: str) -> bool:
    return word in NUMBERS or (word.isdecimal() and word.isascii())


def _frame(tokens: list[_Token], i: int) -> int:
    """The number of words of "a photo of" and the like that begin here."""
    if tokens[i].low not in _FRAME_STARTS:
        return 0
    return next((len(words) for words in FRAMES if [token.low for token in tokens[i : i + len(words)]] == words), 0)


def _relation(tokens: list[_Token], i: int) -> int:
    """The number of words of the longest relation that begins here."""
    if i >= len(tokens) or tokens[i].low not in PREPOSITIONS:
        return 0
    low = tuple(token.low for token in tokens[i : i + 6])
    return next((len(words) for words in RELATIONS if low[: len(words)] == words), 0)


def _joined(prompt: str, done: list[tuple[Phrase | _Relation, int]]) -> list[Phrase]:
    """The phrases, once each relation knows what follows it: a place, a thing, or nothing."""
    found: list[tuple[Phrase, int]] = []
    place = ""
    for (part, sentence), (following, its_sentence) in zip(done, [*done[1:], (None, -1)]):
        if isinstance(part, Phrase):
            if not place:
                found.append((part, sentence))
            place = ""
            continue
        thing = following if isinstance(following, Phrase) and its_sentence == sentence else None
        thing = thing if thing and thing.kind in THINGS else None
        place = _place_kind(prompt, part.preposition, thing) if thing else ""
        if part.verb and (place or not (thing or part.preposition)):
            if not _absorbed(prompt, found, part.verb):
                found.append((_words_of(prompt, *part.verb, "relation"), sentence))
        elif not place and (thing or part.verb):  # a preposition that connects nothing says nothing
            span = [*(part.verb or ()), *(part.preposition or ())]
            found.append((_words_of(prompt, span[0], span[-1], "relation"), sentence))
        if thing and place and part.preposition:
            found.append((_words_of(prompt, part.preposition[0], thing.end, place), sentence))
    return _with_arguments(found)


def _words_of(prompt: str, start: int, end: int, kind: str) -> Phrase:
    """A phrase that names no thing: its head is its words."""
    text = prompt[start:end]
    return Phrase(text=text, start=start, end=end, kind=kind, head=" ".join(text.split()))


def _place_kind(prompt: str, preposition: tuple[int, int] | None, thing: Phrase) -> str:
    """`place` if a preposition and a thing name a place or a time, `other` if a manner ("in the style of ..."), else
    nothing.
    """
    if preposition is None or prompt[slice(*preposition)].lower() not in _PLACE_WORDS or thing.kind == "text":
        return ""
    words = thing.head.lower().split()
    if prompt[preposition[1] : thing.start].strip() or not words:
        return ""
    return "place" if words[-1] in PLACES else "other" if words[0] in _MANNERS else ""


def _absorbed(prompt: str, found: list[tuple[Phrase, int]], verb: tuple[int, int]) -> bool:
    """Whether a participle became an attribute of the thing right before it ("two dogs playing")."""
    if not found or not prompt[verb[0] : verb[1]].lower().endswith(("ing", "ed")):
        return False
    thing, sentence = found[-1]
    if thing.kind not in ("object", "attribute", "count") or prompt[thing.end : verb[0]].strip():
        return False
    said = (*thing.attributes, prompt[slice(*verb)].lower())
    kind = "count" if thing.kind == "count" else "attribute"
    text = prompt[thing.start : verb[1]]
    found[-1] = dataclasses.replace(thing, text=text, end=verb[1], kind=kind, attributes=said), sentence
    return True


def _with_arguments(found: list[tuple[Phrase, int]]) -> list[Phrase]:
    """The phrases; a relation connects the nearest thing before it in its sentence with what comes right after it."""
    phrases = []
    for i, (phrase, sentence) in enumerate(found):
        if phrase.kind == "relation":
            before = [j for j in range(i) if found[j][1] == sentence and found[j][0].kind in THINGS]
            after = [j for j in range(i + 1, min(i + 2, len(found))) if found[j][1] == sentence]
            after = [j for j in after if found[j][0].kind in THINGS]
            phrase = dataclasses.replace(phrase, arguments=((before or [-1])[-1], (after or [-1])[0]))
        phrases.append(phrase)
    return phrases
