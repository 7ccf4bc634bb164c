"""The words that a text is about: those that stand in it and are rare in all that the organisation hears."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

MOST = 5
FEWEST_TEXTS = 20
"""Texts below which nobody can tell which words are rare."""
KEPT_WORDS = 20_000
LEAST = 1.2

_COMMON = """
aber alle allem allen aller alles also auch auf aus bei beim bin bis bitte damit dann das dass dein deine dem den denn der des dich die dies diese
dieser dieses dir doch dort durch ein eine einem einen einer eines einfach euch euer eure für ganz gar gegen gibt habe haben habt hallo hat hatte hatten
hier ich ihm ihn ihnen ihr ihre ihrem ihren immer ins ist jetzt kann kein keine keinen können könnt leider mal man mehr mein meine meinem meinen
meiner mich mir mit muss nach nicht nichts noch nun nur oder ohne schon sehr seid sein seine seit sich sie sind soll über und uns unser unsere unter
vom von vor war waren warum was weil wenn wer werden wie wieder wir wird wurde zum zur zwei
about after all also and any are because been but can could did does doesn don for from get got had has have her here him his how into its just like
more most much not now off one only our out over please she should some such than that the their them then there these they this those too very was
were what when where which who why will with would you your url usr
"""
COMMON = frozenset(_COMMON.split())


class Background(msgspec.Struct, frozen=True):
    """In how many of so many texts each word stands."""

    texts: int = 0
    words: Mapping[str, int] = {}


def words_of(tokens: Iterable[str]) -> list[str]:
    """The words of a text that may be keywords; a hashtag counts as the word it is."""
    stripped = (token.lstrip("#") for token in tokens)
    return [word for word in stripped if len(word) > 2 and word not in COMMON and word.isalpha()]


def counted(texts: Iterable[list[str]]) -> Background:
    """The background of these texts, each given as its words. What stands in one text alone is left out."""
    seen: Counter[str] = Counter()
    number = 0
    for words in texts:
        number += 1
        seen.update(set(words))
    return Background(number, {word: n for word, n in seen.most_common(KEPT_WORDS) if n > 1})


def keywords(words: list[str], background: Background) -> list[tuple[str, float]]:
    """The words that weigh most, the heaviest first. A word that nobody else uses is a slip of the pen more often than a topic."""
    if background.texts < FEWEST_TEXTS:
        return []
    found = []
    for word, often in Counter(words).items():
        texts = background.words.get(word, 0)
        if texts:
            weight = math.log((background.texts + 1) / texts)
            if weight >= LEAST:
                found.append((word, round((1 + math.log(often)) * weight, 3)))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:MOST]
