"""Train the models that smhub-monitoring ships: `python tools/train_models.py DATA_FOLDER`.

Writes each model and its card beside the package's code. Texts stay where they are. The same data and code give the same bytes on the
same machine. The folder holds sb10k/, potts/ and germeval2018/, as docs/monitoring.md describes them.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from smhub_monitoring.analysis.features import SIZE, features
from smhub_monitoring.analysis.linear import LinearModel
from smhub_monitoring.analysis.shipped import FOLDER, Card, Scores
from smhub_monitoring.analysis.text import bare, prepared, tokens
from smhub_monitoring.analysis.training import Course, fit, judged

MOOD = Course(rounds=10, rate=0.4, balance=0.4)
OFFENCE = Course(rounds=12, rate=0.1, balance=1.0)
Rows = list[tuple[str, str]]
SB10K = "SB10k, SpinningBytes AG, CC BY 4.0"
POTTS = "PotTS, Potsdam Twitter Sentiment Corpus, U. Sidorenko, MIT by its data card"
GERMEVAL = "GermEval 2018 Shared Task on the Identification of Offensive Language, CC BY 4.0"


def rows(path: Path, label: int, text: int) -> Rows:
    """Labels and texts of a file with tabs."""
    lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [(line[label], line[text]) for line in lines if len(line) > max(label, text)]


def without(train: Rows, dev: Rows) -> Rows:
    """The texts to train on, without those by which they are judged."""
    there = {bare(prepared(text)) for _, text in dev}
    return [row for row in train if bare(prepared(row[1])) not in there]


def trained(name: str, train: Rows, dev: Rows, course: Course, files: list[Path], sources: list[str], task: str) -> None:
    """Fit, judge what is kept (one byte for each weight), and write both files."""
    train = without(train, dev)
    classes = sorted({label for label, _ in train})
    found = [_features(text) for _, text in train]
    which = np.array([classes.index(label) for label, _ in train])
    fitted = fit(found, np.zeros((len(found), 0), np.float32), which, len(classes), SIZE, course)
    model = LinearModel.of(fitted, classes)
    said = [model.probabilities(_features(text)) for _, text in dev]
    scores = judged([label for label, _ in dev], [max(one, key=one.__getitem__) for one in said])
    common = Counter(label for label, _ in train).most_common(1)[0][0]
    floor = judged([label for label, _ in dev], [common] * len(dev))
    stored = model.written()
    card = Card(
        name=name,
        task=task,
        classes=classes,
        made_at=datetime.now(UTC).strftime("%Y-%m-%d"),
        sha256=hashlib.sha256(stored).hexdigest(),
        bytes=len(stored),
        data_sha256=_digest(files),
        trained_on=len(train),
        sources=sources,
        attribution="Made from the texts of the sources named here, which are not part of it; changed: reduced to weights.",
        scores=Scores(n=scores.n, accuracy=round(scores.accuracy, 4), macro_f1=round(scores.macro_f1, 4)),
        always_the_commonest=Scores(n=floor.n, accuracy=round(floor.accuracy, 4), macro_f1=round(floor.macro_f1, 4)),
        course=msgspec.to_builtins(course),
        remarks="Judged on the sources' dev split, by which the course was chosen among a dozen, too; their test split was never seen.",
    )
    (FOLDER / f"{name}.npz").write_bytes(stored)
    (FOLDER / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    print(f"{name}: accuracy {scores.accuracy:.4f}, macro-F1 {scores.macro_f1:.4f} of {scores.n}; {len(stored):,} bytes")


def _features(text: str) -> np.ndarray:
    folded = prepared(text)
    return features(folded, tokens(folded))


def _digest(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()


def main() -> None:
    data = Path(sys.argv[1])
    tweets, dev, potsdam = data / "sb10k/train.tsv", data / "sb10k/dev.tsv", data / "potts/all.tsv"
    train = rows(tweets, 1, 2) + [row for row in rows(potsdam, 0, 1) if row[0] != "mixed"]
    trained("mood-de", train, rows(dev, 1, 2), MOOD, [tweets, dev, potsdam], [SB10K, POTTS], "the mood of a German post")
    rude, rude_dev = data / "germeval2018/train.txt", data / "germeval2018/dev.txt"
    task = "whether a German post offends"
    trained("offence-de", rows(rude, 1, 0), rows(rude_dev, 1, 0), OFFENCE, [rude, rude_dev], [GERMEVAL], task)


if __name__ == "__main__":
    main()
