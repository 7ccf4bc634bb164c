"""A message as a mention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from smhub.sdk import Author, BadItem, Item, Mention
from smhub_telegram.entities import Chat, Entity, Message, Update, User
from smhub_telegram.settings import Settings

CARRIED = ("photo", "video", "animation", "audio", "voice", "video_note", "document", "sticker", "poll", "location", "contact")
T_ME = "https://t.me"
SUPERGROUP = -1_000_000_000_000
"""Numbers of channels and supergroups begin below this; in links stands what is left."""


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an answer needs to know of the mention, stored with it as `raw`: the topic that it stands in."""

    topic: int | None = None


def id_of(chat_id: int, message_id: int) -> str:
    """A message's number is only unique in its chat."""
    return f"{chat_id}/{message_id}"


def parts_of(external_id: str) -> tuple[int, int] | None:
    """The chat and the message; None when it is no id of ours."""
    chat, _, message = external_id.partition("/")
    try:
        return int(chat), int(message)
    except ValueError:
        return None


def read(settings: Settings, raw: bytes) -> list[Item]:
    """The items of an update: one, or none when it tells of something else."""
    try:
        update = msgspec.json.decode(raw, type=Update)
        found = update.message or update.edited_message or update.channel_post or update.edited_channel_post
        # An ephemeral message has no number, and nobody could answer it.
        if found is None or found.message_id == 0 or _is_ours(settings, found):
            return []
        item = mention(found, update.update_id, post=found in (update.channel_post, update.edited_channel_post))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _, _, where = str(error).partition(" - at ")
        return [BadItem(raw=raw, error=f"not an update{': ' + where if where else ''}")]
    except (ValueError, OverflowError, OSError):
        return [BadItem(raw=raw, error="not an update: its time cannot be read")]
    return [item] if item is not None else []


def mention(message: Message, update_id: int, *, post: bool) -> Mention | None:
    """None for what nobody said: who joined, what was pinned."""
    edited_at = None
    if message.edit_date:
        # Telegram tells whole seconds. Of several edits in one the later update is the later edit, and none is as early as the message.
        edited_at = datetime.fromtimestamp(message.edit_date, UTC) + timedelta(microseconds=1 + update_id % 999_999)
    carried = tuple(name for name in CARRIED if getattr(message, name) is not None)
    words = message.text if message.text is not None else message.caption
    if words is None and not carried:
        return None
    entities = message.entities if message.text is not None else message.caption_entities
    chat, thread = message.chat, message.message_thread_id
    parent = message.reply_to_message.message_id if message.reply_to_message else None
    if message.is_topic_message and parent == thread:
        # The message that opened the topic: whoever writes there "answers" it.
        parent = None
    topic = thread if message.is_topic_message else None
    return Mention(
        external_id=id_of(chat.id, message.message_id),
        kind="direct_message" if chat.type == "private" else "reply" if parent else "post",
        visibility="public" if chat.username and chat.type in ("supergroup", "channel") else "private",
        author=_author(message, post),
        published_at=datetime.fromtimestamp(message.date, UTC),
        edited_at=edited_at,
        text=whole(words or "", entities),
        title=chat.title if chat.type != "private" else None,
        url=link(chat, message.message_id),
        reply_to=id_of(chat.id, parent) if parent else None,
        root=id_of(chat.id, thread) if thread else None,
        labels=carried,
        raw=msgspec.json.encode(Kept(topic=topic)),
    )


def whole(text: str, entities: list[Entity]) -> str:
    """A text with the addresses behind its links, which only apps show otherwise."""
    data = text.encode("utf-16-le")
    for entity in sorted(entities, key=lambda one: one.offset, reverse=True):
        begin, end = entity.offset * 2, (entity.offset + entity.length) * 2
        if entity.type == "text_link" and entity.url and 0 <= begin < end <= len(data):
            shown = data[begin:end].decode("utf-16-le", "replace")
            if shown.strip("/") != entity.url.strip("/"):
                data = data[:end] + f" ({entity.url})".encode("utf-16-le", "replace") + data[end:]
    return data.decode("utf-16-le", "replace")


def link(chat: Chat, message_id: int) -> str | None:
    """Where people read it; only for supergroups and channels (https://core.telegram.org/api/links#message-links)."""
    if chat.type not in ("supergroup", "channel"):
        return None
    where = chat.username or (f"c/{SUPERGROUP - chat.id}" if chat.id < SUPERGROUP else "")
    return f"{T_ME}/{where}/{message_id}" if where else None


def _is_ours(settings: Settings, message: Message) -> bool:
    """Said by the bot, or by the channel that the bot speaks for: there, or carried over into its group."""
    if message.author is not None and message.author.id == settings.me and settings.me:
        return True
    speaker = message.sender_chat
    if speaker is None or not settings.chat:
        return False
    return settings.chat.lower() in (str(speaker.id), f"@{speaker.username or ''}".lower())


def _author(message: Message, post: bool) -> Author | None:
    """Who said it: a person, or a chat in whose name it was said."""
    who: Chat | User | None = message.sender_chat or (message.chat if post else message.author)
    if who is None:
        return None
    names = (who.title,) if isinstance(who, Chat) and who.title else (who.first_name, who.last_name)
    name = " ".join(one for one in names if one)
    return Author(
        external_id=str(who.id),
        handle=f"@{who.username}" if who.username else name or str(who.id),
        name=name,
        url=f"{T_ME}/{who.username}" if who.username else None,
    )
