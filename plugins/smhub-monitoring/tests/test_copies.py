"""Copies are found, and what only speaks of the same things is not. The posts are made up by a generator."""

from __future__ import annotations

import random

import pytest

from smhub_monitoring.analysis.likeness import LEAST, Signature, keys_of, likeness, signature_of
from smhub_monitoring.analysis.text import bare, prepared

_WORDS = """
lieferung paket rechnung danke kaputt service warten antwort kunde versand retoure gutschein app fehler schnell langsam freundlich hilfe frage
bestellung gestern heute morgen woche monat hotline niemand wieder immer endlich leider karton fahrer nachbar abholung filiale konto zahlung mahnung
preis angebot qualität farbe größe schuhe jacke kabel drucker bildschirm handy akku ladegerät küche tisch stuhl lampe garten regen sonne zug bahn bus
stadt straße haus tür fenster mail telefon chat mitarbeiterin chef laden markt kasse schlange feiertag ostern weihnachten geschenk kind mutter vater
freundin hund katze kaffee brot kuchen urlaub meer berge koffer flug hotel zimmer bett frühstück museum konzert kino buch zeitung artikel bericht
interview politik wahl verein spiel tor sieg niederlage trainer platz ball rad helm reifen werkstatt termin arzt praxis schule lehrer prüfung note
bewerbung stelle vertrag gehalt büro rechner drucken speichern löschen öffnen schließen fahren gehen kommen bleiben fragen antworten zahlen kaufen
"""
VOCABULARY = _WORDS.split()
SMALL = ("und", "der", "die", "das", "mit", "für", "nicht", "noch", "aber", "dann", "seit", "bei", "auf", "ich", "wir", "ihr")


def posts(chance: random.Random, number: int) -> list[str]:
    """Made-up posts; a quarter begins with the same words, as people do."""
    found = []
    for _ in range(number):
        words = [chance.choice(SMALL) if chance.random() < 0.4 else chance.choice(VOCABULARY) for _ in range(chance.randint(8, 30))]
        found.append(" ".join((["hallo", "liebes", "team"] if chance.random() < 0.25 else []) + words))
    return found


def reposted(chance: random.Random, post: str) -> str:
    """A copy as networks make them: repeated, cut, with a link, a tag, or a word left out."""
    words = post.split()
    match chance.randrange(5):
        case 0:
            return f"RT @jemand: {post}"
        case 1:
            return f"RT @jemand: {post[: int(len(post) * 0.85)]}…"
        case 2:
            return f"{post} https://t.co/{chance.randrange(10**9)}"
        case 3:
            return f"{post.upper()} 😂😂 #genau"
        case _:
            del words[chance.randrange(len(words))]
            return " ".join(words)


class Index:
    """What the tables do, in memory."""

    def __init__(self, texts: list[str]) -> None:
        self.signatures = [_signature(text) for text in texts]
        self.by_key: dict[int, list[int]] = {}
        for number, signature in enumerate(self.signatures):
            for key in keys_of(signature):
                self.by_key.setdefault(key, []).append(number)

    def most_alike(self, text: str) -> int | None:
        signature = _signature(text)
        likely = {number for key in keys_of(signature) for number in self.by_key.get(key, ())}
        alike = [(likeness(signature, self.signatures[number]), number) for number in likely]
        best = max(alike, default=(0.0, -1))
        return best[1] if best[0] >= LEAST else None


def _signature(text: str) -> Signature:
    found = signature_of(bare(prepared(text)))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_a_thousand_copies_almost_all_are_found_and_of_a_thousand_others_almost_none(seed: int) -> None:
    chance = random.Random(seed)
    known = posts(chance, 3000)
    index = Index(known)
    copied = chance.sample(range(len(known)), 1000)
    recall = sum(index.most_alike(reposted(chance, known[number])) == number for number in copied) / 1000
    false = sum(index.most_alike(post) is not None for post in posts(chance, 1000))
    assert recall >= 0.95
    assert false <= 5


def test_likeness_is_near_the_share_of_common_runs() -> None:
    chance = random.Random(4)
    for post in posts(chance, 50):
        words = post.split()
        one, other = bare(post), bare(" ".join(words[: len(words) * 3 // 4]))
        runs = [{text[at : at + 4] for at in range(len(text) - 3)} for text in (one, other)]
        truth = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
        assert abs(likeness(_signature(one), _signature(other)) - truth) < 0.25


def test_what_is_too_short_is_no_copy_of_anything() -> None:
    assert signature_of(bare(prepared("Danke! 😀"))) is None
    assert signature_of(bare(prepared("@firma https://example.org/ein/langer/weg"))) is None


def test_the_keys_fit_into_the_database() -> None:
    keys = [key for post in posts(random.Random(5), 200) for key in keys_of(_signature(post))]
    assert all(0 <= key < 2**63 for key in keys)
    assert len(set(keys)) > 0.9 * len(keys)
