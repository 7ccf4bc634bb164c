"""The generic door through the whole hub: a shop posts, the mention is there, in the words that its settings point at."""

from __future__ import annotations

import json

import world
from smhub.sdk import Secret
from smhub_webhook.connector import STANDARD
from smhub_webhook.plugin import WebhookPlugin

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_a_shop_posts_an_order_note_and_mends_its_settings(database_url: str) -> None:
    async with world.start(database_url, plugins=[WebhookPlugin()], allow_http_webhooks=True) as hub:
        settings = {"secret": SECRET, "items": "notes", "text": "words"}
        channel = await hub.post("/v1/channels", {"network": "webhook", "name": "Shop", "settings": settings})
        assert channel["secrets"] == ["secret"]
        await hub.work()
        assert (await hub.get(f"/v1/channels/{channel['id']}"))["webhook"]["state"] == "by_hand"

        async def post(id_: str, said: object) -> int:
            body, stamp = json.dumps(said).encode(), str(int(hub.clock.now().timestamp()))
            signature = STANDARD.prefix + STANDARD.sign(body, Secret(SECRET), timestamp=stamp, delivery=id_)
            headers = {"webhook-id": id_, "webhook-timestamp": stamp, "webhook-signature": f"v1,old {signature}"}
            return (await hub.as_key(None).post(channel["webhook"]["callback_url"], content=body, headers=headers)).status_code

        assert await post("m1", {"notes": [{"id": 1, "words": "Wo bleibt mein Paket?", "author": "Anna"}]}) == 200
        assert await post("m2", {"notes": [{"nr": 2, "words": "Danke!"}]}) == 200
        await hub.work()
        for _ in range(5):
            await hub.work(minutes=10)
        assert [one["text"] for one in await hub.mentions()] == ["Wo bleibt mein Paket?"]
        [bad] = (await hub.get("/v1/bad-items"))["items"]
        assert (bad["error"], bad["retryable"]) == ("there is no id at id", True)
        await hub.ok("PATCH", f"/v1/channels/{channel['id']}", json={"settings": {**settings, "id": "id|nr"}})
        await hub.post(f"/v1/bad-items/{bad['id']}/retry")
        await hub.work(seconds=5)
        assert sorted(one["text"] for one in await hub.mentions()) == ["Danke!", "Wo bleibt mein Paket?"]
        assert (await hub.get("/v1/bad-items"))["items"] == []
