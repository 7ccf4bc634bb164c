"""Text and time: what people write comes back as it was, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from smhub.sdk import Mention
from smhub.testing.registry import check
from smhub.testing.trial import Trial, mentions
from smhub.text import text_of_html

GROUP = "Text and time"
FETCHES = "fetches_mentions"
TEXTS = {
    "a family and a flag": "Danke 👩‍👩‍👧‍👦 🏳️‍🌈 sehr",
    "right to left": "שלום לכם and السلام عليكم",
    "bidi controls": "abc \u2067def\u2069 \u202eghi\u202c end",
    "combining marks": "Cafe\u0301 und A\u030a und Ziffer\u20e3",
    "beyond the basic plane": "𝔊𝔬𝔱𝔥𝔦𝔠 𐍈 🯅",
    "what looks like markup": "1 < 2 & 3 > 2 &amp; <b>nicht fett</b>",
    "long": "Wort " * 200 + "Ende",
}
NUL = "vor\x00nach"
BERLIN = ZoneInfo("Europe/Berlin")
INSTANTS = {
    "the hour that comes twice, first": datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0),
    "the hour that comes twice, second": datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    "right after the hour that is missing": datetime(2026, 3, 29, 3, 0, 1, tzinfo=BERLIN),
    "a fraction of a second": datetime(2026, 11, 1, 12, 0, 0, 999_999, tzinfo=UTC),
    "far east of Greenwich": datetime(2026, 11, 1, 23, 30, tzinfo=ZoneInfo("Pacific/Kiritimati")),
    "a leap day": datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
}
SINCE = timedelta(days=3650)


@check(43, "bronze", "Texts come back as they were written", FETCHES)
async def texts_are_kept(t: Trial) -> None:
    known = {t.fake.add(text): (name, text) for name, text in TEXTS.items()}
    nul = t.fake.add(NUL)
    found = {one.external_id: one for one in mentions(await t.pages())}
    for id_, (name, text) in known.items():
        done = f"fetched a text with {name}"
        t.expect(id_ in found, done=done, expected="the mention", came="it is missing")
        t.expect(_same(_read(found[id_]), text), done=done, expected=repr(text), came=repr(_read(found[id_])))
    done = "fetched a text with a NUL in it"
    t.expect(nul in found, done=done, expected="the mention, with or without its NUL", came="it is missing")
    hub = await t.hub()
    await hub.poll()
    missing = {*known, nul} - await hub.ids()
    t.expect(not missing, done="polled all of these texts", expected="each is stored", came=f"{len(missing)} are missing")


@check(44, "bronze", "Every time has a zone", FETCHES)
async def times_are_aware(t: Trial) -> None:
    t.many(count=5)
    for one in mentions(await t.pages()):
        times = {"published_at": one.published_at, "edited_at": one.edited_at}
        naive = [name for name, at in times.items() if at is not None and at.tzinfo is None]
        t.expect(not naive, done="fetched mentions", expected="aware times", came=f"{', '.join(naive)} without a zone")


@check(45, "bronze", "Times mean the instant that the network meant", FETCHES)
async def times_are_right(t: Trial) -> None:
    known = {t.fake.add(name, at=at): (name, at) for name, at in INSTANTS.items()}
    pages = await t.pages(since=t.clock.now() - SINCE)
    found = {one.external_id: one for one in mentions(pages)}
    for id_, (name, at) in known.items():
        done = f"fetched a mention of {name}: {at.isoformat()}"
        t.expect(id_ in found, done=done, expected="the mention", came="it is missing")
        off = abs((found[id_].published_at - at.astimezone(UTC)).total_seconds())
        t.expect(off <= 1, done=done, expected="that instant, to the second", came=found[id_].published_at.isoformat())


@check(46, "silver", "A clock that is an hour off loses nothing", FETCHES)
async def clock_is_off(t: Trial) -> None:
    known = [t.fake.add("Before")]
    hub = await t.hub()
    await hub.poll()
    now = t.clock.now()
    known += [t.fake.add("Behind us", at=now - timedelta(hours=1)), t.fake.add("Ahead of us", at=now + timedelta(hours=1))]
    await hub.poll(times=2)
    lost = set(known) - await hub.ids()
    done = "polled mentions whose times are an hour behind and ahead of this machine's clock"
    t.expect(not lost, done=done, expected="all of them", came=f"{len(lost)} are missing")


@check(47, "silver", "HTML becomes text, and nothing in it runs", FETCHES)
async def html(t: Trial) -> None:
    t.fake.add_html(
        '<p>Guten <b>Tag</b><script>alert(1)</script><img src=x onerror=alert(2)> <a href="javascript:alert(3)">hier</a></p>'
    )
    hub = await t.hub()
    await hub.poll()
    found = await hub.mentions()
    done = "polled a mention with markup, a script and a handler in it"
    t.expect(len(found) == 1, done=done, expected="one mention", came=f"{len(found)} mentions")
    text, markup = found[0].text, found[0].html or ""
    t.expect(
        "Guten Tag" in text and "<" not in text, done=done, expected="`html` is given, so that the hub makes text of it", came=text
    )
    bad = [word for word in ("<script", "onerror", "javascript:", "alert(1)") if word in text + markup]
    t.expect(not bad, done=done, expected="nothing that runs", came=f"{bad} in {markup}")


def _read(one: Mention) -> str:
    """What a person reads of it."""
    said = text_of_html(one.html) if one.html is not None else one.text
    return said if said.strip() else one.title or ""


def _same(came: str, wanted: str) -> bool:
    """Blanks at the ends, and how many lie between words, do not matter. The form of an accented letter does."""
    return " ".join(came.split()) == " ".join(wanted.split())
