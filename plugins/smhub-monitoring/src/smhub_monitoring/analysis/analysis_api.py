"""How one tries the analysis, has old mentions analysed anew, and asks which mentions are copies."""

from __future__ import annotations

from sqlalchemy import select

from smhub.features import (
    Asking,
    Body,
    Cursor,
    CursorInvalid,
    Limit,
    NotFound,
    OperationStarted,
    PathId,
    Process,
    Session,
    does,
    found,
    page,
    reads,
    settings_of,
    start_operation,
    starts,
)
from smhub_monitoring.analysis.models import Cluster
from smhub_monitoring.analysis.preparing import analyst_of, department_views
from smhub_monitoring.analysis.recomputing import RECOMPUTE, Recompute
from smhub_monitoring.analysis.schemas import (
    MonitoringAnalysis,
    MonitoringCluster,
    MonitoringClusters,
    MonitoringKeyword,
    MonitoringRecompute,
    MonitoringSaid,
    MonitoringText,
)

ID = "monitoring"


@does("/analyse", "monitoring:read", tag=ID, plugin=ID)
async def monitoring_analyse(caller: Asking, session: Session, runtime: Process, data: Body[MonitoringText]) -> MonitoringAnalysis:
    """Try the analysis on a text: what would be said about it, how sure, and why."""
    settings = await settings_of(session, runtime, caller.organisation_id, ID)
    departments = await department_views(session, caller.organisation_id)
    analyst = await analyst_of(session, caller.organisation_id, settings, departments)
    analysis = analyst.analyse(analyst.text(data.text, told=data.language), ours=data.ours)
    return MonitoringAnalysis(
        said=[
            MonitoringSaid(key=one.key, value=one.value, confidence=one.confidence, version=one.version, because=list(one.because))
            for one in analysis.said
        ],
        keywords=[MonitoringKeyword(word=word, weight=weight) for word, weight in analysis.keywords],
    )


@starts("/recompute", "monitoring:write", tag=ID, plugin=ID)
async def monitoring_recompute(caller: Asking, session: Session, runtime: Process, data: Body[MonitoringRecompute]) -> OperationStarted:
    """Analyse old mentions again with the rules and models in force now. What a person said stays in force."""
    caller.need_everywhere("monitoring:write")
    operation = await start_operation(
        session,
        RECOMPUTE,
        Recompute(since=data.since),
        now=runtime.clock.now(),
        organisation_id=caller.organisation_id,
        subject_type="organisation",
        subject_id=caller.organisation_id,
        created_by=caller.member_id,
        key=f"monitoring.recompute:{caller.organisation_id}",
    )
    return OperationStarted(operation_id=operation.id, state=operation.state)


@reads("/clusters", "monitoring:read", CursorInvalid, tag=ID, plugin=ID)
async def monitoring_list_clusters(
    caller: Asking, session: Session, runtime: Process, limit: Limit = 50, cursor: Cursor = None
) -> MonitoringClusters:
    """Mentions that are copies of one another, as clusters; those that began last first."""
    caller.need_everywhere("monitoring:read")
    rows, following = await page(
        session,
        select(Cluster).where(Cluster.organisation_id == caller.organisation_id, Cluster.size > 1),
        cursors=runtime.cursors,
        purpose=Cluster.__tablename__,
        organisation_id=caller.organisation_id,
        order=[Cluster.id],
        cursor=cursor,
        limit=limit,
    )
    return MonitoringClusters(items=[MonitoringCluster.of(row) for row in rows], next_cursor=following)


@reads("/clusters/{cluster_id:uuid}", "monitoring:read", NotFound, tag=ID, plugin=ID)
async def monitoring_get_cluster(caller: Asking, session: Session, cluster_id: PathId) -> MonitoringCluster:
    """One cluster."""
    caller.need_everywhere("monitoring:read")
    return MonitoringCluster.of(await found(session, Cluster, caller.organisation_id, cluster_id, "cluster"))


ROUTES = [monitoring_analyse, monitoring_recompute, monitoring_list_clusters, monitoring_get_cluster]
