"""A network asks whether an address is ours, and wants its answer at once. The one place where a connector's code runs in the API process.

So it runs in a thread of its own, under a deadline, and whoever does not come back is not waited for, nor asked again while it hangs.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import msgspec
import structlog

from smhub.errors import HandshakeRefused, Unavailable
from smhub.sdk import Challenge, RawRequest, ReceivesWebhooks

log = structlog.get_logger("smhub.hooks")

PARSE_SECONDS = 0.05
MOST_HANGING = 2
MOST_RUNNING = 16
MOST_CHARACTERS = 10_000
_running: Counter[str] = Counter()
_hanging: Counter[str] = Counter()
"""Of those that run, the ones that are past their time."""


class Hangs(Exception):
    """The connector has not come back."""


async def parsed(network: str, connector: ReceivesWebhooks, request: RawRequest) -> Any:
    """What `parse_webhook` gives, or raises. Hangs after PARSE_SECONDS, and at once while too many calls of the network run or hang."""
    if _hanging[network] >= MOST_HANGING or _running[network] >= MOST_RUNNING:
        raise Hangs
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()
    begun = asyncio.Event()

    def end(result: Any, error: BaseException | None) -> None:
        _running[network] -= 1
        if answer.done():
            _hanging[network] -= 1
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error if isinstance(error, Exception) else RuntimeError(type(error).__name__))

    def parse() -> None:
        result, error = None, None
        try:
            loop.call_soon_threadsafe(begun.set)
            result = connector.parse_webhook(request)
        except BaseException as raised:
            error = raised
        finally:
            # Whoever comes back after the end of the hub finds the loop closed.
            if not loop.is_closed():
                loop.call_soon_threadsafe(end, result, error)

    _running[network] += 1
    # A thread of a pool would be joined at the end of the process, and hold that up for ever.
    threading.Thread(target=parse, name=f"handshake {network}", daemon=True).start()
    await begun.wait()
    await asyncio.wait([answer], timeout=PARSE_SECONDS)
    if not answer.done():
        answer.cancel()
        _hanging[network] += 1
        raise Hangs
    return answer.result()


def hanging(network: str) -> int:
    """How many calls to a network's connector have not come back."""
    return _hanging[network]


async def answered(network: str, connector: ReceivesWebhooks, request: RawRequest) -> Challenge:
    """The answer to a GET. Raises HandshakeRefused when the connector has none, Unavailable when it takes too long."""
    try:
        found = await parsed(network, connector, request)
    except Hangs:
        log.warning("handshake_hangs", network=network)
        raise Unavailable(reason="the connector did not answer in time", retry_after=60) from None
    except Exception as error:
        log.warning("handshake_failed", network=network, error=type(error).__name__)
        raise HandshakeRefused from error
    return fitting(found)


async def perhaps(network: str, connector: ReceivesWebhooks, request: RawRequest) -> Challenge | None:
    """The answer to a POST when it is a handshake. Whatever goes wrong: it is stored, and a worker looks at it."""
    try:
        found = await parsed(network, connector, request)
        return fitting(found) if isinstance(found, Challenge) else None
    except Hangs:
        log.warning("handshake_hangs", network=network)
    except Exception as error:
        log.info("handshake_failed", network=network, error=type(error).__name__)
    return None


def fitting(found: Any) -> Challenge:
    """A challenge that may go out: text that no browser takes for a page."""
    if not isinstance(found, Challenge) or len(found.body) > MOST_CHARACTERS:
        raise HandshakeRefused
    plain = "application/json" if found.media_type == "application/json" else "text/plain"
    return msgspec.structs.replace(found, media_type=plain)
