"""How an organisation's own model grows with corrections: `python tools/learning_curve.py DATA_FOLDER`.

The order of a file stands for time: its last 1,500 texts are judged, and the 0, 100, 250 and 1,000 right before them are the corrections.
Three files stand for three organisations. The shipped models have seen them, so a base is made anew without the texts that judge it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from train_models import MOOD, Rows, rows

from smhub_monitoring.analysis import shipped
from smhub_monitoring.analysis.analyst import Analyst, Base, OwnModel, Text, dense_of
from smhub_monitoring.analysis.features import SIZE
from smhub_monitoring.analysis.learning import COURSE, best, said_by
from smhub_monitoring.analysis.linear import LinearModel
from smhub_monitoring.analysis.rule_sets import made
from smhub_monitoring.analysis.settings import MonitoringSettings
from smhub_monitoring.analysis.training import fit, judged

NUMBERS = (0, 100, 250, 1000)
JUDGED = 1500


Shipped = Callable[[str], LinearModel]
NOTHING = LinearModel(
    classes=("OFFENSE", "OTHER"),
    weights=np.zeros((SIZE, 2), np.int8),
    scale=np.ones(2, np.float32),
    dense=np.zeros((0, 2), np.float32),
    bias=np.array([0, 1], np.float32),
)


def base_of(train: Rows) -> LinearModel:
    """A general model of mood, made of other texts in the way of the shipped one."""
    by = Analyst(MonitoringSettings(), {})
    classes = sorted({label for label, _ in train})
    found = [by.text(text).features for _, text in train]
    which = np.array([classes.index(label) for label, _ in train])
    fitted = fit(found, np.zeros((len(found), 0), np.float32), which, len(classes), SIZE, MOOD)
    return LinearModel.of(fitted, classes)


def curve(name: str, key: str, own: Rows, linear: Shipped) -> None:
    """The figures of one organisation."""
    settings = MonitoringSettings()
    by = Analyst(settings, made({}, settings.languages), linear=linear)
    texts: list[Text] = [by.text(text, told="de") for _, text in own]
    bases: list[Base] = [by.base(text) for text in texts]
    truth = [label for label, _ in own[-JUDGED:]]
    newer = list(zip(texts[-JUDGED:], bases[-JUDGED:], strict=True))
    for number in NUMBERS:
        start = len(own) - JUDGED - number
        model = _own(key, own[start:-JUDGED], texts[start:-JUDGED], bases[start:-JUDGED]) if number else None
        said = [said_by(model, key, text, base) if model else best(base[key]) for text, base in newer]
        found = judged(truth, said)
        print(f"| {name} | {number:,} | {found.accuracy:.3f} | {found.macro_f1:.3f} |", flush=True)


def _own(key: str, given: Rows, texts: list[Text], bases: list[Base]) -> OwnModel:
    classes = tuple(sorted({label for label, _ in given}))
    dense = np.array([dense_of(classes, base[key], base["mood"]) for base in bases], np.float32)
    which = np.array([classes.index(label) for label, _ in given])
    return OwnModel(LinearModel.of(fit([text.features for text in texts], dense, which, len(classes), SIZE, COURSE), classes), "")


def main() -> None:
    data = Path(sys.argv[1])
    sb10k = rows(data / "sb10k/train.tsv", 1, 2)
    potts = [row for row in rows(data / "potts/all.tsv", 0, 1) if row[0] != "mixed"]
    offence = [("true" if label == "OFFENSE" else "false", text) for label, text in rows(data / "germeval2018/train.txt", 1, 0)]
    print("| corrections from | corrections | accuracy | macro-F1 |\n|---|---|---|---|")
    for name, general, own in (("PotTS (base: SB10k)", sb10k, potts), ("SB10k (base: PotTS)", potts, sb10k)):
        made_of = base_of(general)
        curve(name, "mood", own, lambda asked, mood=made_of: mood if asked == "mood-de" else NOTHING)  # type: ignore[misc]
    curve("GermEval 2018 (no base)", "offence", offence, lambda asked: shipped.linear(asked) if asked == "mood-de" else NOTHING)


if __name__ == "__main__":
    main()
