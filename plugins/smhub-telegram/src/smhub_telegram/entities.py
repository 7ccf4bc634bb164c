"""What the Bot API tells, as far as it is read (https://core.telegram.org/bots/api)."""

from __future__ import annotations

from typing import Any

import msgspec


class Chat(msgspec.Struct, frozen=True):
    """A person, group, supergroup or channel."""

    id: int
    type: str
    title: str | None = None
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None


class User(msgspec.Struct, frozen=True):
    """A person or a bot."""

    id: int
    first_name: str = ""
    last_name: str | None = None
    username: str | None = None


class Entity(msgspec.Struct, frozen=True):
    """A stretch of a text, counted in UTF-16 code units."""

    type: str
    offset: int
    length: int
    url: str | None = None


class Answered(msgspec.Struct, frozen=True):
    """The message that another one answers."""

    message_id: int


class Message(msgspec.Struct, frozen=True, kw_only=True, rename={"author": "from"}):
    """A message. What it carries beside words is only looked at for being there."""

    message_id: int
    date: int
    chat: Chat
    author: User | None = None
    sender_chat: Chat | None = None
    edit_date: int | None = None
    text: str | None = None
    caption: str | None = None
    entities: list[Entity] = []
    caption_entities: list[Entity] = []
    reply_to_message: Answered | None = None
    message_thread_id: int | None = None
    is_topic_message: bool = False
    is_automatic_forward: bool = False
    photo: Any = None
    video: Any = None
    animation: Any = None
    audio: Any = None
    voice: Any = None
    video_note: Any = None
    document: Any = None
    sticker: Any = None
    poll: Any = None
    location: Any = None
    contact: Any = None


class Sign(msgspec.Struct, frozen=True):
    """The number of an update."""

    update_id: int


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened; at most one of the fields is there."""

    update_id: int
    message: Message | None = None
    edited_message: Message | None = None
    channel_post: Message | None = None
    edited_channel_post: Message | None = None


class Updates(msgspec.Struct, frozen=True):
    """getUpdates"""

    result: list[msgspec.Raw]


class Me(msgspec.Struct, frozen=True):
    """getMe"""

    result: User


class Found(msgspec.Struct, frozen=True):
    """getChat"""

    result: Chat


class Sent(msgspec.Struct, frozen=True):
    """sendMessage"""

    result: Message


class Membership(msgspec.Struct, frozen=True):
    """How somebody stands in a chat; a right that is not told is not limited there."""

    status: str
    can_post_messages: bool | None = None
    can_send_messages: bool | None = None


class Member(msgspec.Struct, frozen=True):
    """getChatMember"""

    result: Membership


class Hook(msgspec.Struct, frozen=True):
    """Where Telegram delivers; an empty address: nowhere."""

    url: str = ""


class HookInfo(msgspec.Struct, frozen=True):
    """getWebhookInfo"""

    result: Hook
