from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smhub.sdk import ConnectorContext, Response, StandingClock, read_settings
from smhub_webhook.connector import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """The other system: what it was sent, and what it answers."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answer = b""
        self.error: Exception | None = None

    async def request(self, method: str, url: str, **more: Any) -> Response:
        self.got.append({"method": method, "url": url, **more})
        if self.error is not None:
            raise self.error
        return Response(status=200, headers={}, body=self.answer, url=url)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def door(clock: StandingClock, receiver: Receiver) -> Callable[..., Webhook]:
    def make(**settings: Any) -> Webhook:
        config = read_settings(Webhook.Config, {"secret": SECRET, **settings})
        return Webhook(config, receiver, ConnectorContext(clock=clock))  # type: ignore[arg-type]

    return make
