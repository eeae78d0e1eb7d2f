"""English nouns in the singular, and their article."""

from precompute.phrases.words import word_set
from precompute.world.vocabulary import THINGS

__all__ = ["is_plural", "singular", "with_article"]

_IRREGULAR = {thing.plural: thing.name for thing in THINGS}
for _pair in word_set(
    "men:man women:woman children:child people:person feet:foot teeth:tooth geese:goose mice:mouse oxen:ox "
    "knives:knife leaves:leaf wolves:wolf loaves:loaf halves:half shelves:shelf scarves:scarf calves:calf wives:wife "
    "lives:life thieves:thief elves:elf hooves:hoof cacti:cactus fungi:fungus buses:bus gases:gas lenses:lens "
    "vases:vase roses:rose houses:house horses:horse noses:nose cases:case bases:base purses:purse nurses:nurse "
    "hoses:hose blouses:blouse axes:axe shoes:shoe toes:toe canoes:canoe movies:movie cookies:cookie ties:tie pies:pie "
    "zombies:zombie selfies:selfie caches:cache headaches:headache quizzes:quiz firemen:fireman policemen:policeman "
    "snowmen:snowman fishermen:fisherman policewomen:policewoman businessmen:businessman grandchildren:grandchild"
):
    _many, _, _one = _pair.partition(":")
    _IRREGULAR[_many] = _one
_SAME = word_set(
    "sheep fish deer moose bison salmon trout scissors glasses sunglasses pants jeans shorts trousers pajamas goggles "
    "binoculars headphones tongs pliers tweezers clothes series species news mathematics gas lens canvas atlas "
    "christmas mars venus iris tennis chess texas paris kansas vegas molasses pancreas always perhaps"
)
"""Words that end in s, or mean several, and stay as they are."""


def singular(noun: str) -> str:
    """A noun in the singular; one that is in the singular already, or that has none, stays as it is.

    `noun` is a word or several, of which the last is changed; small letters, but for names.
    """
    first, blank, word = noun.rpartition(" ")
    if first and word == "glasses":  # "wine glasses"; alone they are spectacles
        return f"{first} glass"
    stem, hyphen, last = word.rpartition("-")
    return first + blank + stem + hyphen + _singular(last)


def is_plural(noun: str) -> bool:
    """Whether a noun has another form in the singular."""
    return singular(noun) != noun


def with_article(words: str) -> str:
    """The words after "a" or "an"."""
    return ("an " if words[:1].lower() in tuple("aeiou") else "a ") + words


def _singular(word: str) -> str:
    small = word.lower()
    if small in _IRREGULAR:
        return _IRREGULAR[small]
    if small in _SAME or len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is", "'s", "’s")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes", "oes")):
        return word[:-2]
    return word[:-1]
