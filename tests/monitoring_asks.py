"""How to ask each operation of the plugin rightly, as tests/stand.py does for the core."""

from __future__ import annotations

from uuid import uuid4

import numpy as np

from smhub.ids import new_id
from smhub_monitoring.analysis.features import SIZE
from smhub_monitoring.analysis.linear import LinearModel
from smhub_monitoring.analysis.models import Cluster, OwnModelRow
from stand import NONE, Ask, Of, Stand, ids

RULES = {"yaml": "rules:\n- {key: topic, value: trains, words: [bahn*]}\n"}
GERMAN = {"language": "de"}
MODEL, CLUSTER = ids(own_model_id="own_model"), ids(cluster_id="cluster")
EMPTY = LinearModel(
    classes=("negative", "positive"),
    weights=np.zeros((SIZE, 2), np.int8),
    scale=np.ones(2, np.float32),
    dense=np.zeros((5, 2), np.float32),
    bias=np.zeros(2, np.float32),
)
"""An own model that knows nothing."""
SCORES = {"n": 20, "accuracy": 0.9, "macro_f1": 0.8}

ASKS: dict[str, list[Ask]] = {
    "monitoring_list_rule_sets": NONE,
    "monitoring_get_rule_set": [Ask(path=GERMAN)],
    "monitoring_put_rule_set": [Ask(path=GERMAN, body=RULES)],
    "monitoring_list_rule_set_versions": [Ask(path=GERMAN)],
    "monitoring_restore_rule_set": [Ask(path=GERMAN, body={"number": 0})],
    "monitoring_list_shipped_models": NONE,
    "monitoring_list_own_models": NONE,
    "monitoring_get_own_model": [Ask(path=MODEL)],
    "monitoring_learn": [Ask(body={"key": "mood"})],
    "monitoring_list_choices": NONE,
    "monitoring_get_choice": [Ask(path={"key": "mood"})],
    "monitoring_change_choice": [Ask(path={"key": "mood"}, body={"model_id": Of("own_model")})],
    "monitoring_list_contradictions": NONE,
    "monitoring_analyse": [Ask(body={"text": "Wo ist mein Paket?"})],
    "monitoring_recompute": [Ask(body={})],
    "monitoring_list_clusters": NONE,
    "monitoring_get_cluster": [Ask(path=CLUSTER)],
}
ORGANISATION_WIDE = {
    "monitoring_put_rule_set",
    "monitoring_restore_rule_set",
    "monitoring_learn",
    "monitoring_change_choice",
    "monitoring_list_contradictions",
    "monitoring_recompute",
    "monitoring_list_clusters",
    "monitoring_get_cluster",
}


async def furnish(stand: Stand) -> None:
    """At least two of everything that the plugin has."""
    hub = stand.hub
    for _ in range(2):
        await hub.ok("PUT", "/v1/monitoring/rule-sets/de", json=RULES)
    one, other = [hub.as_key(await hub.member("agent")) for _ in range(2)]
    # The stand's mentions are copies of one another, so one mention is enough, and two keys are needed.
    for key, first, second in (("mood", "positive", "negative"), ("intent", "praise", "complaint")):
        for client, value in ((one, first), (other, second)):
            body = {"key": key, "value": value}
            await hub.ok("POST", f"/v1/mentions/{stand.known['mention']}/annotations", client, json=body)
    await _rows(stand)


async def _rows(stand: Stand) -> None:
    """What takes a hundred corrections or more to come to be by itself."""
    hub, organisation_id = stand.hub, await stand.hub.me()
    now = hub.clock.now()
    models = [
        OwnModelRow(
            organisation_id=organisation_id,
            id=new_id(),
            key="mood",
            number=number,
            classes=["negative", "positive"],
            trained_on=80,
            judged={"with_it": SCORES, "without_it": SCORES},
            better=False,
            stored=EMPTY.written(),
            made_at=now,
        )
        for number in (1, 2)
    ]
    clusters = [Cluster(organisation_id=organisation_id, id=uuid4(), size=2, first_at=now, last_at=now) for _ in range(2)]
    stand.known["own_model"], stand.known["cluster"] = str(models[0].id), str(clusters[0].id)
    async with hub.database.write() as session:
        session.add_all([*models, *clusters])
