"""The mood of English texts, by the words of VADER (C.J. Hutto and E. Gilbert, MIT) and a small scorer of our own. Nothing is trained."""

from __future__ import annotations

import math
import re
from functools import cache

from smhub_monitoring.analysis.shipped import FOLDER

FILE = "mood-en.tsv"
_EDGES = re.compile(r"^[^\w]+|[^\w]+$")
_TURNS = """
not no never none nobody nothing neither nor without hardly barely isnt arent wasnt werent dont doesnt didnt cant cannot couldnt wont wouldnt
shouldnt hasnt havent hadnt aint
"""
_NOT = frozenset(_TURNS.split())
_MORE = frozenset(
    {"very", "really", "extremely", "absolutely", "totally", "so", "too", "incredibly", "completely", "especially", "most"}
)
_LESS = frozenset({"slightly", "somewhat", "barely", "almost", "kinda", "little", "partly"})


@cache
def _valences() -> dict[str, float]:
    lines = (line.split("\t") for line in (FOLDER / FILE).read_text(encoding="utf-8").splitlines())
    return {word: float(valence) for word, valence in lines}


def english_mood(prepared_text: str) -> dict[str, float]:
    """How probable each mood is. The nearer the sum of the words' valences is to nothing, the more probable is neutral."""
    known, words = _valences(), prepared_text.split()
    bare = [_EDGES.sub("", word).replace("'", "").replace("’", "") for word in words]
    total = 0.0
    for at, word in enumerate(words):
        valence = known.get(word) or known.get(_EDGES.sub("", word), 0.0)
        if not valence:
            continue
        before = bare[max(0, at - 3) : at]
        if before and before[-1] in _MORE:
            valence *= 1.3
        elif before and before[-1] in _LESS:
            valence *= 0.7
        if any(one in _NOT for one in before):
            valence *= -0.74
        if "but" in bare[at + 1 :]:
            valence *= 0.5
        total += valence
    compound = total / math.sqrt(total * total + 15)
    strength = abs(compound)
    neutral = max(0.1, 0.8 - 1.4 * strength)
    towards = (1 - neutral) * (0.5 + 0.5 * min(1.0, strength / 0.3))
    away = 1 - neutral - towards
    negative, positive = (away, towards) if compound > 0 else (towards, away)
    return {"negative": negative, "neutral": neutral, "positive": positive}
