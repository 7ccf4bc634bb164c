"""How to ask each operation of the plugin rightly, as tests/stand.py does for the core."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from smhub.ids import new_id
from smhub_monitoring.alerts.models import Alert
from smhub_monitoring.analysis.features import SIZE
from smhub_monitoring.analysis.linear import LinearModel
from smhub_monitoring.analysis.models import Cluster, OwnModelRow
from smhub_monitoring.reports.models import ReportFile, ReportRun
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

RULE, ALERT, TARGET = ids(alert_rule_id="alert_rule"), ids(alert_id="alert"), ids(target_id="target")
INCIDENT = ids(incident_id="incident")
CONDITION = {"kind": "threshold", "at_least": 1_000_000}
NEW_RULE = {
    "name": "R",
    "condition": CONDITION,
    "steps": [{"target_ids": [Of("target")]}],
    "department_id": Of("department"),
}
NEW_TARGET = {"name": "T", "address": "json://127.0.0.1:9/"}
BRAND_SET, FILE = ids(brand_set_id="brand_set"), ids(report_file_id="report_file")
BRANDS = [{"name": "A", "ours": True, "query": "a"}, {"name": "B", "query": "b"}]
WEEK = {"from": "2026-10-26T00:00:00Z", "to": "2026-11-02T00:00:00Z"}
QUESTION = {**WEEK, "metrics": ["mentions"], "group_by": ["network"], **ids(department_id="department", brand_set_id="brand_set")}
SCHEDULE = ids(report_schedule_id="report_schedule")
NEW_SCHEDULE = {"name": "W", "what": {"kind": "figures", "metrics": ["mentions"]}}

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
    "monitoring_listen": [
        Ask(
            body={
                "name": "L",
                "query": "kettle",
                "networks": [{"network": "echo"}],
                "purpose": "p",
                "legal_basis": "l",
                **ids(department_id="department"),
            }
        )
    ],
    "monitoring_try_listener": [Ask(body={"query": "kettle"})],
    "monitoring_list_targets": NONE,
    "monitoring_add_target": [Ask(body=NEW_TARGET)],
    "monitoring_get_target": [Ask(path=TARGET)],
    "monitoring_change_target": [Ask(path=TARGET, body={"name": "U"})],
    "monitoring_remove_target": [Ask(path=ids(target_id="new_target"))],
    "monitoring_test_target": [Ask(path=TARGET)],
    "monitoring_list_alert_rules": NONE,
    "monitoring_add_alert_rule": [Ask(body=NEW_RULE)],
    "monitoring_try_alert_rule": [Ask(body=NEW_RULE)],
    "monitoring_get_alert_rule": [Ask(path=RULE)],
    "monitoring_change_alert_rule": [Ask(path=RULE, body={"steps": [{"target_ids": [Of("target")]}]})],
    "monitoring_remove_alert_rule": [Ask(path=ids(alert_rule_id="new_alert_rule"))],
    "monitoring_list_alerts": [Ask(), Ask(query=ids(rule_id="alert_rule"))],
    "monitoring_get_alert": [Ask(path=ALERT)],
    "monitoring_list_notices": [Ask(path=ALERT)],
    "monitoring_acknowledge_alert": [Ask(path=ids(alert_id="new_alert"))],
    "monitoring_list_incidents": NONE,
    "monitoring_open_incident": [
        Ask(body={"name": "I", "query": "x", **ids(department_id="department")}),
        Ask(body={"name": "I", **ids(alert_id="alert")}),
    ],
    "monitoring_get_incident": [Ask(path=INCIDENT)],
    "monitoring_change_incident": [Ask(path=INCIDENT, body={"name": "J"})],
    "monitoring_escalate_incident": [Ask(path=ids(incident_id="new_incident"), body={})],
    "monitoring_calm_incident": [Ask(path=ids(incident_id="new_storm"))],
    "monitoring_close_incident": [Ask(path=ids(incident_id="new_incident"), body={})],
    "monitoring_get_timeline": [Ask(path=INCIDENT)],
    "monitoring_add_entry": [Ask(path=INCIDENT, body={"text": "Called the press"})],
    "monitoring_list_brand_sets": NONE,
    "monitoring_add_brand_set": [Ask(body={"name": "S", "members": BRANDS})],
    "monitoring_get_brand_set": [Ask(path=BRAND_SET)],
    "monitoring_change_brand_set": [Ask(path=BRAND_SET, body={"name": "T"})],
    "monitoring_remove_brand_set": [Ask(path=ids(brand_set_id="new_brand_set"))],
    "monitoring_list_metrics": NONE,
    "monitoring_run_report": [Ask(body=QUESTION)],
    "monitoring_run_report_as_table": [Ask(body=QUESTION)],
    "monitoring_draw_chart": [Ask(body={"question": QUESTION})],
    "monitoring_recount": [Ask(body=WEEK)],
    "monitoring_list_report_schedules": NONE,
    "monitoring_add_report_schedule": [
        Ask(body={**NEW_SCHEDULE, "target_ids": [Of("target")], "department_id": Of("department")}),
        Ask(body={"name": "M", "what": {"kind": "stage_one", **ids(brand_set_id="brand_set")}, "target_ids": [Of("target")]}),
    ],
    "monitoring_get_report_schedule": [Ask(path=SCHEDULE)],
    "monitoring_change_report_schedule": [
        Ask(path=SCHEDULE, body={"target_ids": [Of("target")], "what": {"kind": "stage_one", **ids(brand_set_id="brand_set")}})
    ],
    "monitoring_remove_report_schedule": [Ask(path=ids(report_schedule_id="new_report_schedule"))],
    "monitoring_list_report_runs": [Ask(path=SCHEDULE)],
    "monitoring_make_picture": [Ask(body={"question": QUESTION})],
    "monitoring_make_stage_one": [Ask(body=ids(department_id="department", brand_set_id="brand_set"))],
    "monitoring_list_report_files": NONE,
    "monitoring_get_report_file": [Ask(path=FILE)],
    "monitoring_get_report_content": [Ask(path=FILE)],
    "monitoring_remove_report_file": [Ask(path=ids(report_file_id="new_report_file"))],
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
    "monitoring_add_target",
    "monitoring_change_target",
    "monitoring_remove_target",
    "monitoring_test_target",
    "monitoring_add_brand_set",
    "monitoring_change_brand_set",
    "monitoring_remove_brand_set",
    "monitoring_recount",
}


SCOPED = ("alert_rule", "alert", "incident")
"""What belongs to a department."""


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
    for _ in range(2):
        for kind in ("target", "alert_rule", "alert", "incident", "brand_set", "report_file", "report_schedule"):
            stand.known[kind] = await stand.make(f"new_{kind}")
    await hub.post(f"/v1/monitoring/incidents/{stand.known['incident']}/timeline", {"text": "A second line"})
    await _rows(stand)
    await _runs(stand)


async def _target(stand: Stand) -> dict[str, Any]:
    return await stand.hub.post("/v1/monitoring/targets", NEW_TARGET)  # type: ignore[no-any-return]


async def _rule(stand: Stand) -> dict[str, Any]:
    body = {"name": "R", "query": "x", "condition": CONDITION, "department_id": stand.known["department"]}
    return await stand.hub.post("/v1/monitoring/alert-rules", body)  # type: ignore[no-any-return]


async def _alert(stand: Stand) -> dict[str, Any]:
    """One that is raised: its rule came true a moment ago."""
    made, now = await _rule(stand), stand.hub.clock.now()
    row = Alert(
        organisation_id=await stand.hub.me(),
        id=new_id(),
        rule_id=UUID(made["id"]),
        department_id=UUID(stand.known["department"]),
        state="raised",
        severity="warning",
        figures={"count": 1},
        mention_ids=[],
        raised_at=now,
        true_at=now,
        steps_done=0,
        version=1,
    )
    id_ = str(row.id)
    async with stand.hub.database.write() as session:
        session.add(row)
    return {"id": id_, "rule_id": made["id"]}


async def _incident(stand: Stand) -> dict[str, Any]:
    body = {"name": "I", "query": "x", "department_id": stand.known["department"]}
    return await stand.hub.post("/v1/monitoring/incidents", body)  # type: ignore[no-any-return]


async def _storm(stand: Stand) -> dict[str, Any]:
    made = await _incident(stand)
    return await stand.hub.post(f"/v1/monitoring/incidents/{made['id']}/escalate", {})  # type: ignore[no-any-return]


async def _brand_set(stand: Stand) -> dict[str, Any]:
    return await stand.hub.post("/v1/monitoring/brand-sets", {"name": "S", "members": BRANDS})  # type: ignore[no-any-return]


async def _report_file(stand: Stand) -> dict[str, Any]:
    """One that was made a moment ago."""
    row = ReportFile(
        organisation_id=await stand.hub.me(),
        id=new_id(),
        department_id=UUID(stand.known["department"]),
        name="r.svg",
        media_type="image/svg+xml",
        size=6,
        content=b"<svg/>",
        made_at=stand.hub.clock.now(),
    )
    id_ = str(row.id)
    async with stand.hub.database.write() as session:
        session.add(row)
    return {"id": id_}


async def _schedule(stand: Stand) -> dict[str, Any]:
    target = stand.known.get("target") or await stand.make("new_target")
    body = {**NEW_SCHEDULE, "target_ids": [target], "department_id": stand.known["department"]}
    return await stand.hub.post("/v1/monitoring/report-schedules", body)  # type: ignore[no-any-return]


MAKERS = {
    "target": _target,
    "alert_rule": _rule,
    "alert": _alert,
    "incident": _incident,
    "storm": _storm,
    "brand_set": _brand_set,
    "report_file": _report_file,
    "report_schedule": _schedule,
}


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


async def _runs(stand: Stand) -> None:
    """Two weeks of a schedule."""
    now, organisation_id = stand.hub.clock.now(), await stand.hub.me()
    runs = [
        ReportRun(
            organisation_id=organisation_id,
            id=new_id(),
            schedule_id=UUID(stand.known["report_schedule"]),
            target_id=UUID(stand.known["target"]),
            begins_at=now - timedelta(weeks=weeks + 1),
            ends_at=now - timedelta(weeks=weeks),
            state="made",
            attempts=1,
        )
        for weeks in range(2)
    ]
    async with stand.hub.database.write() as session:
        session.add_all(runs)
