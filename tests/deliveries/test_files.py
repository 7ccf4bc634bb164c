"""Files: uploaded once, made harmless, kept while they are needed, and sent as they were checked."""

from __future__ import annotations

import asyncio
import hashlib
import io
from typing import Any

import httpx2
import pytest
from PIL import Image
from sqlalchemy import func, select

import world
from loud import SAFETIES, LoudPlugin, square
from pictures import frames, photo, picture
from smhub.deliveries import pictures
from smhub.deliveries.media_models import MediaPiece
from world import Hub

MP4 = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + b"\x00" * 64


async def upload(
    hub: Hub, content: bytes, declared: str = "image/png", client: httpx2.AsyncClient | None = None, **text: str
) -> httpx2.Response:
    files = {"file": ("kessel", content, declared)}
    return await (client or hub.admin).post("/v1/media", files=files, data=text)


async def uploaded(hub: Hub, content: bytes, declared: str = "image/png", **text: str) -> dict[str, Any]:
    answer = await upload(hub, content, declared, **text)
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def codes(answer: httpx2.Response) -> list[tuple[str, str]]:
    return [(one["field"], one["code"]) for one in answer.json()["errors"]]


async def post(hub: Hub, channel: dict[str, Any], *media: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"text": "Neu", "media": [{"media_id": one["id"]} for one in media], **more}
    return await hub.post(f"/v1/channels/{channel['id']}/posts", given)  # type: ignore[no-any-return]


async def test_a_picture_goes_out_with_its_alternative_text_and_is_frozen_by_its_digest(hub: Hub) -> None:
    channel = await hub.connect()
    kettle, cup = await uploaded(hub, picture(1), alternative_text="Ein Kessel"), await uploaded(hub, picture(2))
    chosen = [{"media_id": kettle["id"]}, {"media_id": cup["id"], "alternative_text": "Eine Tasse"}]
    made = await hub.post(f"/v1/channels/{channel['id']}/posts", {"text": "Neu", "media": chosen})
    await hub.work()
    (sent,) = hub.echo.files
    assert [one.alt_text for one in sent] == ["Ein Kessel", "Eine Tasse"]
    assert [hashlib.sha256(one.content).hexdigest() for one in sent] == [kettle["digest"], cup["digest"]]
    assert [(one.width, one.height, one.size) for one in sent] == [(8, 6, kettle["size"]), (8, 6, cup["size"])]
    found = await hub.get(f"/v1/deliveries/{made['id']}")
    assert found["state"] == "published"
    assert [one["alternative_text"] for one in found["media"]] == ["Ein Kessel", "Eine Tasse"]


async def test_a_photo_loses_the_place_where_it_was_taken_and_stands_upright(hub: Hub) -> None:
    for form, declared in (("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("PNG", "image/png")):
        for turned, size in ((1, (40, 20)), (6, (20, 40))):
            told = await uploaded(hub, photo(turned=turned, form=form), declared)
            assert (told["media_type"], told["width"], told["height"]) == (declared, *size)
            answer = await hub.admin.get(f"/v1/media/{told['id']}/content")
            assert b"Kamerawerk" in photo(turned=turned, form=form) and b"Kamerawerk" not in answer.content
            with Image.open(io.BytesIO(answer.content)) as image:
                assert image.size == size and not image.getexif() and image.format == form
            assert hashlib.sha256(answer.content).hexdigest() == told["digest"]
            assert answer.headers["content-disposition"] == "attachment"


async def test_what_moves_still_moves(hub: Hub) -> None:
    for form in ("GIF", "WEBP", "PNG"):
        told = await uploaded(hub, frames(form), f"image/{form.lower()}")
        content = (await hub.admin.get(f"/v1/media/{told['id']}/content")).content
        with Image.open(io.BytesIO(content)) as image:
            assert getattr(image, "n_frames", 1) == 3, form


async def test_what_a_file_is_its_bytes_decide(hub: Hub) -> None:
    film = await uploaded(hub, MP4, "video/mp4")
    assert (film["media_type"], film["width"]) == ("video/mp4", None)
    assert (await uploaded(hub, picture(3), "application/octet-stream"))["media_type"] == "image/png"
    for content, declared, code in (
        (picture(4), "image/jpeg", "wrong_type"),
        (MP4, "image/png", "wrong_type"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "image/svg+xml", "unknown_type"),
        (b"MZ\x90\x00" + b"\x00" * 80, "image/png", "unknown_type"),
        (picture(5)[:-30], "image/png", "broken"),
        (photo()[:300], "image/jpeg", "broken"),
        (b"", "image/png", "empty"),
    ):
        answer = await upload(hub, content, declared)
        assert (answer.status_code, codes(answer)) == (400, [("file", code)]), (declared, answer.text)


async def test_a_small_file_that_becomes_a_huge_picture_is_refused_before_it_is_decoded(hub: Hub) -> None:
    side = 8000
    image = Image.new("1", (side, side))
    image.save(out := io.BytesIO(), "PNG")
    assert len(out.getvalue()) < 20_000 and side * side > pictures.MAX_PIXELS
    assert codes(await upload(hub, out.getvalue())) == [("file", "too_many_pixels")]


async def test_a_form_that_is_not_as_it_should_be_is_refused(hub: Hub) -> None:
    post = hub.admin.post
    assert (await post("/v1/media", json={})).status_code == 415
    assert (
        await post("/v1/media", content=b"--x\r\nnonsense", headers={"content-type": "multipart/form-data; boundary=x"})
    ).status_code == 400
    assert (await post("/v1/media", content=b"", headers={"content-type": "multipart/form-data"})).status_code == 400
    file = ("file", ("a.png", picture(), "image/png"))
    assert codes(await post("/v1/media", files=[file, file])) == [("file", "given_twice")]
    assert codes(await post("/v1/media", files=[file], data={"title": "x"})) == [("title", "unknown_field")]
    assert codes(await post("/v1/media", files={"other": ("a.png", picture(), "image/png")})) == [
        ("other", "unknown_field"),
        ("file", "missing"),
    ]


async def test_a_file_above_the_cap_is_not_read_to_its_end(hub: Hub) -> None:
    most = hub.runtime.settings.media_max_mb << 20
    sent = 0

    async def pour() -> Any:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(4 * most // (1 << 20)):
            sent += 1 << 20
            yield b"\x00" * (1 << 20)

    answer = await hub.admin.post("/v1/media", content=pour(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413
    assert (await hub.admin.post("/v1/media", content=b"", headers={"content-length": str(10 * most)})).status_code in (413, 415)


async def test_the_same_bytes_are_one_file_in_an_organisation_and_another_in_the_next(hub: Hub) -> None:
    other = await hub.organisation()
    first = await uploaded(hub, picture(9), alternative_text="Ein Kessel")
    again = await asyncio.gather(*(uploaded(hub, picture(9)) for _ in range(3)))
    assert {one["id"] for one in again} == {first["id"]} and again[0]["alternative_text"] == "Ein Kessel"
    theirs = await uploaded(other, picture(9))
    assert theirs["id"] != first["id"] and theirs["digest"] == first["digest"]
    assert [one["id"] for one in (await hub.get("/v1/media"))["items"]] == [first["id"]]
    channel = await other.connect()
    answer = await other.admin.post(f"/v1/channels/{channel['id']}/posts", json={"text": "a", "media": [{"media_id": first["id"]}]})
    assert answer.status_code == 404
    changed = await hub.ok("PATCH", f"/v1/media/{first['id']}", json={"alternative_text": "Ein roter Kessel"})
    assert changed["alternative_text"] == "Ein roter Kessel"


async def test_files_that_come_at_the_same_moment_are_one(hub: Hub) -> None:
    found = await asyncio.gather(*(upload(hub, picture(12)) for _ in range(4)))
    assert {one.status_code for one in found} <= {201, 409}
    assert len((await hub.get("/v1/media"))["items"]) == 1


async def test_files_that_the_network_does_not_take_are_named_by_their_place(hub: Hub) -> None:
    channel = await hub.connect()
    small, wide = await uploaded(hub, picture(1)), await uploaded(hub, picture(2, width=1200), alternative_text="x" * 101)
    film = await uploaded(hub, MP4, "video/mp4")
    given = {"text": "", "media": [{"media_id": one["id"]} for one in (small, wide, film)]}
    found = await hub.post(f"/v1/channels/{channel['id']}/posts/check", given)
    assert [(one["field"], one["code"]) for one in found["violations"]] == [
        ("media.1", "too_wide"),
        ("media.1.alternative_text", "too_long"),
        ("media.2", "type_not_taken"),
    ]
    answer = await hub.admin.post(f"/v1/channels/{channel['id']}/posts", json=given)
    assert answer.status_code == 422 and codes(answer)[0][0] == "media.1"
    twice = {"text": "a", "media": [{"media_id": small["id"]}] * 2}
    assert codes(await hub.admin.post(f"/v1/channels/{channel['id']}/posts", json=twice)) == [("media", "given_twice")]


async def test_a_file_stays_as_long_as_a_delivery_may_need_it(hub: Hub) -> None:
    channel = await hub.connect()
    kettle = await uploaded(hub, picture(1))
    made = await post(hub, channel, kettle, draft=True)
    answer = await hub.admin.delete(f"/v1/media/{kettle['id']}")
    assert answer.status_code == 409 and answer.json()["in_the_way"]["id"] == made["id"]
    await hub.post(f"/v1/deliveries/{made['id']}/queue", {})
    await hub.work()
    assert (await hub.admin.delete(f"/v1/media/{kettle['id']}")).status_code == 204
    assert (await hub.admin.get(f"/v1/media/{kettle['id']}")).status_code == 404
    assert (await hub.get(f"/v1/deliveries/{made['id']}"))["media"][0]["digest"] == kettle["digest"]
    async with hub.database.read() as session:
        assert (await session.execute(select(func.count()).select_from(MediaPiece))).scalar_one() == 0


async def test_other_files_can_be_chosen_until_it_goes_out(hub: Hub) -> None:
    channel = await hub.connect()
    kettle, cup = await uploaded(hub, picture(1)), await uploaded(hub, picture(2))
    made = await post(hub, channel, kettle, draft=True)
    changed = await hub.ok("PATCH", f"/v1/deliveries/{made['id']}", json={"media": [{"media_id": cup["id"]}]})
    assert [one["media_id"] for one in changed["media"]] == [cup["id"]]
    assert (await hub.admin.delete(f"/v1/media/{kettle['id']}")).status_code == 204
    assert (await hub.ok("PATCH", f"/v1/deliveries/{made['id']}", json={"media": []}))["media"] == []


async def test_what_nothing_uses_is_forgotten_after_a_day(hub: Hub) -> None:
    channel = await hub.connect()
    kettle, cup, again = [await uploaded(hub, picture(number)) for number in (1, 2, 3)]
    await post(hub, channel, kettle, draft=True)
    await hub.work(hours=20)
    await uploaded(hub, picture(3))
    await hub.work(hours=5)
    assert {one["id"] for one in (await hub.get("/v1/media"))["items"]} == {kettle["id"], again["id"]}
    assert cup["id"] != kettle["id"]


async def test_a_large_file_comes_back_as_it_was(hub: Hub) -> None:
    content = MP4 + bytes(range(256)) * 6000
    told = await uploaded(hub, content, "video/mp4")
    assert (await hub.admin.get(f"/v1/media/{told['id']}/content")).content == content
    async with hub.database.read() as session:
        assert (await session.execute(select(func.count()).select_from(MediaPiece))).scalar_one() == 3


async def test_a_reader_may_see_files_and_not_upload_them(hub: Hub) -> None:
    viewer = hub.as_key(await hub.member("viewer"))
    told = await uploaded(hub, picture(1))
    assert (await viewer.get(f"/v1/media/{told['id']}/content")).status_code == 200
    assert (await upload(hub, picture(2), client=viewer)).status_code == 403
    assert (await viewer.delete(f"/v1/media/{told['id']}")).status_code == 403


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_bytes_cut_or_changed_anywhere_never_harm_the_reader(kind: str) -> None:
    whole = picture(7, form=kind)
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                pictures.look_at(content, None)
            except pictures.NotTaken as error:
                assert error.code in ("empty", "broken", "unknown_type", "too_many_pixels")


@pytest.mark.parametrize("safety", SAFETIES)
async def test_a_lost_upload_is_repeated_and_leaves_nothing_unclear_whatever_the_network_can(database_url: str, safety: str) -> None:
    async with square() as (network, port):
        allowed = f"127.0.0.1:{port}"
        async with world.start(database_url, plugins=[LoudPlugin()], allow_private_hosts=allowed, shared=True) as hub:
            settings = {"base_url": f"http://{allowed}"}
            channel = await hub.post("/v1/channels", {"network": f"loud-{safety}", "name": "Loud", "settings": settings})
            await hub.work()
            fates = iter(["ok", "lose"])
            network.script = lambda method, path: next(fates, "ok") if path == "/blobs" else "ok"
            chosen = [await uploaded(hub, picture(1), alternative_text="Ein Kessel"), await uploaded(hub, picture(2))]
            made = await post(hub, channel, *chosen)
            await hub.work()
            assert (await hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "queued"
            await hub.work(seconds=7)
            await hub.work(seconds=2)
            assert (await hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "published"
            assert network.texts() == ["Neu"]
            assert [one["alt"] for one in network.blobs] == ["Ein Kessel", "", "Ein Kessel", ""]
            tried = (await hub.get(f"/v1/deliveries/{made['id']}/attempts"))["items"]
            assert (tried[0]["state"], tried[0]["acted"]) == ("not_sent", False)
            types = {event["type"] for event in (await hub.get("/v1/events"))["items"]}
            assert "delivery.unknown" not in types


async def test_a_lost_post_behind_good_uploads_is_as_unclear_as_ever(database_url: str) -> None:
    async with square() as (network, port):
        allowed = f"127.0.0.1:{port}"
        async with world.start(database_url, plugins=[LoudPlugin()], allow_private_hosts=allowed, shared=True) as hub:
            settings = {"base_url": f"http://{allowed}"}
            channel = await hub.post("/v1/channels", {"network": "loud-none", "name": "Loud", "settings": settings})
            await hub.work()
            network.script = lambda method, path: "lose" if path == "/posts" else "ok"
            made = await post(hub, channel, await uploaded(hub, picture(1)))
            await hub.work()
            await hub.work(minutes=5)
            assert (await hub.get(f"/v1/deliveries/{made['id']}"))["state"] == "unknown"
            assert network.texts() == ["Neu"]
