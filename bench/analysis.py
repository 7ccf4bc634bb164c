"""Analysing German posts with all that smhub-monitoring ships: posts a second on one core, and the memory that it takes.

The posts are made of the simulator's lines. The floor of the rate is language detection alone; that of the memory is
the process before the first post.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import psutil

from bench.common import show
from smhub_monitoring.analysis.analyst import Analyst
from smhub_monitoring.analysis.language import language_of
from smhub_monitoring.analysis.likeness import keys_of
from smhub_monitoring.analysis.rule_sets import made
from smhub_monitoring.analysis.settings import MonitoringSettings
from smhub_monitoring.analysis.text import plain
from smhub_simulator.german import LINES, WORDS

POSTS = 5_000
ROUNDS = 3


def run() -> None:
    before = psutil.Process().memory_info().rss
    settings = MonitoringSettings(names=("Nordwind Versand",))
    analyst = Analyst(settings, made({}, settings.languages))
    posts = _posts()
    _analyse(analyst, posts[:50])
    ours = max(_rate(lambda: _analyse(analyst, posts)) for _ in range(ROUNDS))
    floor = max(_rate(lambda: [language_of(plain(post), settings.languages) for post in posts]) for _ in range(ROUNDS))
    show("analysis", "none", ours, "posts/s of processor time", floor, POSTS)
    after = psutil.Process().memory_info().rss
    show("analysis_memory", "none", (after - before) / 1e6, "MB more", before / 1e6, POSTS)


def _posts() -> list[str]:
    """Made-up posts as people write them: a beginning, a line, an end."""
    chance = random.Random(1)
    lines = [line.split(" ", 2)[2] for line in LINES.strip().splitlines()]
    plainly = {name: words for name, words in WORDS.items() if name not in ("start", "end")}

    def filled(match: re.Match[str]) -> str:
        return chance.choice(plainly.get(match[1], [str(chance.randrange(10_000))]))

    whole = (chance.choice(WORDS["start"]) + chance.choice(lines) + chance.choice(WORDS["end"]) for _ in range(POSTS))
    return [re.sub(r"\{(\w+)\}", filled, post) for post in whole]


def _analyse(analyst: Analyst, posts: list[str]) -> None:
    for post in posts:
        analysis = analyst.analyse(analyst.text(post), ours=True)
        if analysis.signature is not None:
            keys_of(analysis.signature)


def _rate(work: Callable[[], object]) -> float:
    """Posts a second of processor time: what else runs on the machine takes no part."""
    began = time.process_time()
    work()
    return POSTS / (time.process_time() - began)
