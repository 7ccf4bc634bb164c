"""What is shipped is what its card says, and the card is above the bars. A model that fell below could not be shipped."""

from __future__ import annotations

import hashlib

import pytest

from smhub_monitoring.analysis import shipped

BARS = {"mood-de": (0.70, 0.60), "offence-de": (0.70, 0.62)}
FILES = {"mood-de": "mood-de.npz", "offence-de": "offence-de.npz", "mood-en": "mood-en.tsv"}


@pytest.mark.parametrize("name", shipped.NAMES)
def test_a_model_is_the_one_of_its_card(name: str) -> None:
    stored = (shipped.FOLDER / FILES[name]).read_bytes()
    card = shipped.card(name)
    assert hashlib.sha256(stored).hexdigest() == card.sha256
    assert len(stored) == card.bytes <= 500_000
    assert card.sources and card.attribution and len(card.data_sha256) == 64


@pytest.mark.parametrize("name", BARS)
def test_a_trained_model_is_above_its_bars(name: str) -> None:
    card = shipped.card(name)
    accuracy, macro_f1 = BARS[name]
    assert card.scores is not None and card.always_the_commonest is not None
    assert card.scores.accuracy >= accuracy and card.scores.macro_f1 >= macro_f1
    assert card.scores.macro_f1 > card.always_the_commonest.macro_f1 + 0.1
    assert card.scores.n >= 500


def test_what_was_not_judged_claims_no_score() -> None:
    assert shipped.card("mood-en").scores is None
    assert "not judged" in shipped.card("mood-en").remarks


def test_no_file_of_texts_is_shipped() -> None:
    assert {file.name for file in shipped.FOLDER.iterdir()} == {
        *FILES.values(),
        *(f"{name}.json" for name in shipped.NAMES),
        "mood-en.LICENSE",
    }
    assert all(len(line.split()) <= 4 for line in (shipped.FOLDER / "mood-en.tsv").read_text(encoding="utf-8").splitlines())
