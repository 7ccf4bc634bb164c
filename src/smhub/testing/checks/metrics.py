"""Metrics: absolute counts, and one that is gone fails no other."""

from __future__ import annotations

from smhub.testing.registry import check
from smhub.testing.trial import KEY, OTHER_KEY, Trial, draft

GROUP = "Metrics"
CAN = ("reports_metrics", "publishes")


@check(71, "gold", "Counts are absolute, never below zero, and say when they were read", *CAN)
async def counts(t: Trial) -> None:
    said = await t.publish(draft("Count me"), KEY)
    first = await t.connect().metrics([said.external_id])
    t.clock.forward(minutes=5)
    second = await t.connect().metrics([said.external_id])
    done = "asked for the counts of a post twice; nothing happened in between"
    t.expect(len(first) == len(second) == 1, done=done, expected="one Metrics", came=f"{len(first)} and {len(second)}")
    one, other = first[0], second[0]
    t.expect(one.external_id == said.external_id, done=done, expected="the post's id", came=one.external_id)
    t.expect(one.values and min(one.values.values()) >= 0, done=done, expected="counts from 0 on", came=one.values)
    t.expect(one.values == other.values, done=done, expected=f"the same counts again, no differences: {one.values}", came=other.values)
    aware = one.observed_at.tzinfo is not None and other.observed_at > one.observed_at
    t.expect(aware, done=done, expected="observed_at from the context's clock", came=(one.observed_at, other.observed_at))


@check(72, "gold", "A post that is gone fails no other", *CAN, "deletes")
async def one_is_gone(t: Trial) -> None:
    kept = await t.publish(draft("I stay"), KEY)
    gone = await t.publish(draft("I go"), OTHER_KEY)
    await t.connect().delete(gone.external_id)
    found = [one.external_id for one in await t.connect().metrics([gone.external_id, kept.external_id])]
    done = "asked for the counts of two posts, of which one was deleted"
    t.expect(found == [kept.external_id], done=done, expected="those of the other", came=found)
