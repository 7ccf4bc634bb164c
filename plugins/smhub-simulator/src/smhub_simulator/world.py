"""What happens at each position: a mention, a reply, an edit or a deletion. Nothing is kept; everything is worked out anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from smhub.sdk import Attachment, Author, Item, Mention, Tombstone
from smhub_simulator.calendar import EPOCH, Calendar
from smhub_simulator.chance import draw
from smhub_simulator.settings import Settings
from smhub_simulator.voices import TOPICS, VOICES, Line, Voice, handle

AUTHORS = 600
SITE = "https://simulator.invalid"
POST, REPLY, EDIT, DELETE = range(4)
# Nobody edits what is deleted already: edits come soon, deletions late, replies before them.
_REACH = {REPLY: (1, 40), EDIT: (1, 50), DELETE: (60, 300)}
_FORMS = ("post",) * 12 + ("comment",) * 3 + ("review",) * 3 + ("direct_message",) * 2
_SEEN = ("public",) * 14 + ("unlisted", "followers")


class World:
    """One simulation, given by its settings."""

    def __init__(self, settings: Settings) -> None:
        self.seed, self.company = settings.seed, settings.company
        self.calendar = Calendar(settings.seed, settings.per_minute, settings.storm_every_hours, settings.outage_every_hours)
        self._voices = [(code, VOICES[code]) for code in dict.fromkeys(settings.languages)]
        shares = [round(share * 10_000) for share in (settings.replies, settings.edits, settings.deletes)]
        self._upto = (shares[0], shares[0] + shares[1], sum(shares))
        # Two simulations that differ in anything that is told never share an id.
        told = msgspec.structs.replace(settings, page_size=1, backlog=0, outage_every_hours=0)
        self.key = blake2b(msgspec.json.encode(told), digest_size=5).hexdigest()
        self._authors: dict[int, Author] = {}

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """Everything that happens from one position up to another."""
        position = start
        slot = self.calendar.slot(start)
        while position < stop:
            first, end = self.calendar.before(slot), self.calendar.before(slot + 1)
            storm = self.calendar.storm(slot)
            for at in range(max(position, first), min(end, stop)):
                when = EPOCH + timedelta(microseconds=self.calendar.microsecond(at, slot, first, end - first))
                yield self._item(at, when, storm)
            position = max(position, min(end, stop))
            slot += 1

    def _item(self, position: int, at: datetime, storm: int | None) -> Item:
        kind = self._kind(position)
        if kind in (EDIT, DELETE) and (target := self._target(position, kind)) is not None:
            if kind == DELETE:
                return Tombstone(external_id=self._name(target), at=at)
            slot = self.calendar.slot(target)
            before = self._mention(target, self.calendar.time(target), self.calendar.storm(slot))
            edits = VOICES[before.language or "en"].edits
            return msgspec.structs.replace(before, text=before.text + edits[draw(self.seed, position, 8) % len(edits)], edited_at=at)
        return self._mention(position, at, storm)

    def _kind(self, position: int) -> int:
        chance = draw(self.seed, position, 4) % 10_000
        replies, edits, deletes = self._upto
        if chance >= deletes:
            return POST
        return REPLY if chance < replies else EDIT if chance < edits else DELETE

    def _target(self, position: int, kind: int) -> int | None:
        near, far = _REACH[kind]
        for attempt in range(8):
            target = position - near - draw(self.seed, position, 10 + attempt) % (far - near)
            if target >= 0 and self._kind(target) in (POST, REPLY):
                return target
        return None

    def _root(self, position: int) -> int:
        while self._kind(position) == REPLY and (parent := self._target(position, REPLY)) is not None:
            position = parent
        return position

    def _name(self, position: int) -> str:
        return f"{self.key}-{position}"

    def _mention(self, position: int, at: datetime, storm: int | None) -> Mention:
        rest = draw(self.seed, position, 5)
        parent = self._target(position, REPLY) if self._kind(position) == REPLY else None
        root = position if parent is None else self._root(parent)
        writer = self._writer(position)
        if parent is not None:  # people answer in the language of the thread
            writer += (self._writer(root) - writer) % len(self._voices)
        language, voice = self._voices[writer % len(self._voices)]
        rest >>= 20
        line = self._line(voice, rest, parent is not None, storm)
        rest >>= 12
        form, visibility = self._form(line, parent is not None, rest)
        rest >>= 10
        name = self._name(position)
        pictured = line.intent == "complaint" and rest % 8 == 0 and form != "article"
        return Mention(
            external_id=name,
            author=self._author(writer),
            published_at=at,
            text=self._text(voice, line, position, writer),
            title=voice.titles[rest % len(voice.titles)] if form in ("review", "article") else None,
            url=None if form == "direct_message" else f"{SITE}/{form}/{name}",
            kind=form,
            visibility=visibility,
            reply_to=None if parent is None else self._name(parent),
            root=None if parent is None else self._name(root),
            language=language,
            attachments=(
                (
                    Attachment(
                        url=f"{SITE}/media/{name}.jpg",
                        kind="image",
                        media_type="image/jpeg",
                        alt_text=voice.pictures[(rest >> 4) % len(voice.pictures)],
                        bytes=40_000 + rest % 900_000,
                    ),
                )
                if pictured
                else ()
            ),
            labels=(f"{rest % 5 + 1}/5",) if form == "review" else (voice.tags[line.topic],) if rest % 6 == 0 else (),
            raw=line.raw,
        )

    def _writer(self, position: int) -> int:
        # The smaller of two: some people write much, most of them little.
        chance = draw(self.seed, position, 5)
        return min(chance % AUTHORS, (chance >> 10) % AUTHORS)

    def _line(self, voice: Voice, rest: int, reply: bool, storm: int | None) -> Line:
        if reply:
            return voice.replies[rest % len(voice.replies)]
        if storm is not None and rest % 6:
            lines = voice.angry[TOPICS[draw(self.seed, storm, 6) % len(TOPICS)]]
            return lines[rest // 6 % len(lines)]
        return voice.lines[rest % len(voice.lines)]

    def _form(self, line: Line, reply: bool, rest: int) -> tuple[str, str]:
        if reply:
            return ("reply" if rest % 3 else "comment"), "public"
        if line.intent == "application" or (line.intent == "journalist" and rest % 3):
            return "direct_message", "private"
        if line.intent == "journalist":
            return "article", "public"
        form = _FORMS[rest % len(_FORMS)]
        if form == "review" and (line.topic == "jobs" or line.intent not in ("praise", "complaint")):
            form = "post"
        return form, "private" if form == "direct_message" else _SEEN[rest // 20 % len(_SEEN)]

    def _author(self, number: int) -> Author:
        if number not in self._authors:
            chance = draw(self.seed, number, 7)
            called = handle(chance)
            self._authors[number] = Author(
                external_id=f"{self.key}-u{number}",
                handle=called,
                name=called.capitalize() if chance % 3 else "",
                url=f"{SITE}/@{called}",
                followers=(chance >> 20) % (50 if chance % 4 else 20_000),
            )
        return self._authors[number]

    def _text(self, voice: Voice, line: Line, position: int, writer: int) -> str:
        chance = draw(self.seed, position, 9)
        start = voice.starts[chance % len(voice.starts)]
        end = voice.ends[(chance >> 8) % len(voice.ends)]
        said = self._fill(voice, line, start + line.parts + end, chance >> 16, writer)
        if not start and chance & 0x7000:
            said = said[0].upper() + said[1:]
        if chance >> 59 == 0:
            return said.lower()
        if chance >> 59 == 1:  # a slip of the fingers
            at = len(said) // 3 + (chance >> 32) % (len(said) // 3)
            return said[:at] + said[at + 1] + said[at] + said[at + 2 :]
        return said

    def _fill(self, voice: Voice, line: Line, parts: tuple[tuple[str, str | None], ...], chance: int, writer: int) -> str:
        said = []
        for literal, slot in parts:
            said.append(literal)
            if slot is None:
                continue
            if words := voice.words.get(slot):
                said.append(words[chance % len(words)])
            elif slot == "order":
                said.append(str(100_000 + chance % 899_999))
            elif slot == "days":
                said.append(str(2 + chance % 17))
            elif slot == "euros":
                said.append(str(5 + chance % 495))
            elif slot == "tag":
                said.append(voice.tags[line.topic])
            else:
                said.append(self._called(slot, voice, chance))
            chance >>= 4
        return "".join(said)

    def _called(self, slot: str, voice: Voice, chance: int) -> str:
        if slot == "place":
            return voice.words["city"][chance % len(voice.words["city"])].lower()
        return self.company if slot == "company" else self.company.replace(" ", "").lower()
