"""Who we are, what the server allows, and what may be written into the settings."""

from __future__ import annotations

import msgspec
import pytest

from smhub.sdk import AuthExpired, ConfigInvalid, Draft, Media, MediaLimit, PermissionMissing, capabilities, read_settings
from smhub_mastodon.connector import Mastodon

KEY = "0123456789abcdef0123456789abcdef"


async def test_verify_tells_who_we_are_and_what_this_server_allows(server, connect):
    account = await connect(server).verify()
    assert (account.external_id, account.handle, account.scopes) == (
        "firma@social.test",
        "firma@social.test",
        ("read", "write:statuses"),
    )
    limits = account.limits
    assert (limits.max, limits.count, limits.url_weight, limits.max_media, limits.max_alt_text) == (500, "mastodon", 25, 6, 900)
    assert limits.media == (
        MediaLimit(media_type="image/png", max_bytes=100),
        MediaLimit(media_type="video/mp4", max_bytes=99 * 1024 * 1024),
    )


@pytest.mark.parametrize(
    ("software", "safety"),
    [("mastodon", "key"), ("hometown", "key"), ("pleroma", "lookup"), ("akkoma", "lookup"), ("gotosocial", "lookup"), ("", "lookup")],
)
async def test_only_where_keys_are_honoured_a_request_may_be_repeated(server, connect, software, safety):
    server.software = software
    assert (await connect(server).verify()).safety == safety


@pytest.mark.parametrize("broken", ["/.well-known/nodeinfo", "/nodeinfo/2.0"])
async def test_without_a_word_about_its_software_a_server_is_not_trusted_with_keys(server, connect, broken):
    server.faults.append(lambda method, path: (404, {}, b"no") if path == broken else None)
    assert (await connect(server).verify()).safety == "lookup"
    server.faults[:] = [lambda method, path: (200, {}, b"<html>") if path == broken else None]
    assert (await connect(server).verify()).safety == "lookup"


async def test_a_server_with_only_the_older_description_is_understood(gotosocial, connect):
    account = await connect(gotosocial).verify()
    assert (account.handle, account.limits.max_media, account.safety) == ("firma@social.test", 6, "lookup")


async def test_a_refused_token_and_a_missing_scope_are_told(server, connect):
    with pytest.raises(AuthExpired):
        await connect(server, token="tok-nobody").verify()
    outside = {"error": "This action is outside the authorized scopes"}
    for path, scope in (("/api/v1/accounts/verify_credentials", "read:accounts"), ("/api/v1/notifications", "read:notifications")):
        server.faults[:] = [lambda method, asked, path=path: (403, {}, outside) if asked == path else None]
        with pytest.raises(PermissionMissing) as missing:
            await connect(server).verify()
        assert missing.value.scopes == (scope,)


@pytest.mark.parametrize("answer", [(404, {}, b"no"), (200, {}, b"<html>"), (200, {}, b"{}")])
async def test_an_address_without_the_api_is_pointed_at(server, connect, answer):
    server.faults.append(lambda method, path: answer)
    with pytest.raises(ConfigInvalid) as refused:
        await connect(server).verify()
    assert refused.value.field == "base_url"


async def test_the_token_goes_to_the_server_and_stands_nowhere_else(server, connect):
    connector = connect(server)
    await connector.verify()
    assert "tok-firma" not in repr(connector.config)
    assert all("tok-firma" not in target for _, target, _, _ in server.requests)


@pytest.mark.parametrize(
    "address",
    [
        "mastodon.example",
        "http://mastodon.example",
        "ftp://a.example",
        "https://",
        "https://a@b.example",
        "https://a.example/x",
        "https://a b",
    ],
)
def test_an_address_that_would_give_the_token_away_or_lead_nowhere_is_refused(address):
    with pytest.raises(msgspec.ValidationError):
        read_settings(Mastodon.Config, {"base_url": address, "token": "t"})


@pytest.mark.parametrize("address", ["https://mastodon.example", "https://mastodon.example:8443/", "http://127.0.0.1:3000"])
def test_an_address_may_end_with_a_slash(address):
    assert not Mastodon.base_url(read_settings(Mastodon.Config, {"base_url": address, "token": "t"})).endswith("/")


async def test_counts_are_told_for_what_is_there(server, gotosocial, connect):
    for one in (server, gotosocial):
        said = [one.says("firma", f"Beitrag {number}") for number in range(25)]
        one.remove(said.pop())
        found = await connect(one).metrics([*said, "115000000000009999"])
        assert sorted(metrics.external_id for metrics in found) == said
        assert found[0].values == {"replies": 1, "shares": 2, "likes": 3}


def test_what_the_limits_cannot_say_is_validated(server, connect):
    picture, film = Media(media_type="image/png", content=b""), Media(media_type="video/mp4", content=b"")
    check = Mastodon.validate
    assert check(None, Draft(text="Hallo", media=(picture, picture), visibility="followers")) == []
    assert check(None, Draft(text="", media=(film,))) == []
    found = [*check(None, Draft(text=" ")), *check(None, Draft(text="a", media=(picture, film), visibility="secret"))]
    assert [one.code for one in found] == ["empty", "mixed_media", "unknown_visibility"]


def test_it_can_what_it_implements():
    can = "fetches_mentions searches streams streams_searches publishes replies deletes edits reports_metrics validates_content"
    assert capabilities(Mastodon) == tuple(can.split())
