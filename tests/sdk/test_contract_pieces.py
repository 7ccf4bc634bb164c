"""Signatures, paging of newest-first networks, and secrets."""

from __future__ import annotations

import hashlib
import hmac
import pickle
from collections.abc import Sequence
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from smhub.sdk import Hmac, NewestFirst, RawRequest, Secret, newest_first, read_settings, secret_fields, settings_schema


def signed(body: bytes, stamp: str, secret: str = "s3cret") -> RawRequest:
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return RawRequest(headers={"x-signature": f"sha256={digest}", "x-time": stamp}, body=body)


def test_only_a_fresh_delivery_with_the_right_signature_over_the_raw_bytes_is_taken() -> None:
    rule = Hmac(header="X-Signature", secret_field="secret", prefix="sha256=", timestamp_header="X-Time")
    good = signed(b'{"a": 1}', "1000")
    assert rule.verify(good, Secret("s3cret"), now=1100)
    assert not rule.verify(good, Secret("other"), now=1100)
    assert not rule.verify(good, Secret("s3cret"), now=1301)
    assert not rule.verify(msgspec.structs.replace(good, body=b'{"a":1}'), Secret("s3cret"), now=1100)
    assert not rule.verify(RawRequest(body=b"{}"), Secret("s3cret"), now=1100)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_a_network_may_choose_the_algorithm_and_name_it_in_front(algorithm: str) -> None:
    rule = Hmac(header="X-Hub-Signature", algorithm="named")
    signature = f"{algorithm}={hmac.new(b's3cret', b'raw', algorithm).hexdigest()}"

    def fits(told: str, secret: str = "s3cret") -> bool:
        return rule.verify(RawRequest(headers={"x-hub-signature": told}, body=b"raw"), Secret(secret), now=0)

    assert fits(signature)
    assert rule.sign(b"raw", Secret("s3cret"), algorithm=algorithm) == signature
    assert not fits(signature, "other")
    for told in (signature.partition("=")[2], signature.replace("=", "", 1), f"md5={'0' * 32}", "=", "", f"new={'0' * 40}"):
        assert not fits(told)


@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 60), st.integers(0, 8))
async def test_a_newest_first_list_is_read_whole_whatever_page_a_crash_repeats(old: int, size: int, new: int, crash_at: int) -> None:
    rows = [f"{number:04}" for number in range(old)]

    async def fetch(below: str) -> Sequence[str]:
        return [row for row in reversed(rows) if not below or row < below][:size]

    async def read(cursor: NewestFirst | None, seen: set[str], stop_after: int | None = None) -> NewestFirst | None:
        count = 0
        async for page, after in newest_first(fetch, cursor, lambda row: row, lambda a, b: a > b):
            seen.update(page)
            cursor = after
            count += 1
            if stop_after is not None and count > stop_after:
                break
        return cursor

    seen: set[str] = set()
    cursor = await read(None, seen)
    rows += [f"{number:04}" for number in range(old, old + new)]
    cursor = await read(cursor, seen, stop_after=crash_at)
    await read(cursor, seen)
    assert seen == set(rows)


class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    address: Annotated[str, Meta(title="Address", pattern="^https://")]
    token: Annotated[Secret, Meta(title="Token")]


def test_a_secret_is_write_only_and_cannot_be_printed_or_encoded() -> None:
    config = read_settings(Config, {"address": "https://a.example", "token": "geheim"})
    assert "geheim" not in repr(config) + str(config.token) + f"{config.token:>10}"
    assert config.token.reveal() == "geheim"
    with pytest.raises(TypeError):
        msgspec.json.encode(config)
    with pytest.raises(TypeError):
        pickle.dumps(config.token)
    assert secret_fields(Config) == {"token"}
    schema = settings_schema(Config)
    assert schema["additionalProperties"] is False
    assert {"writeOnly": True, "x-smhub-secret": True, "format": "password"}.items() <= schema["properties"]["token"].items()


@pytest.mark.parametrize("raw", [{}, {"address": "ftp://a", "token": "x"}, {"address": "https://a", "token": ""}, {"adress": "x"}])
def test_settings_that_do_not_fit_are_refused_with_their_place(raw: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_settings(Config, raw)
