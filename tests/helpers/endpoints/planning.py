"""Planned activities."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

PLANNING = (
    Endpoint(
        "planning/planned-activities/",
        "past and coming ones of several types; who completed it and when stand together, with COMPLETED only",
        """SELECT count(DISTINCT activity_type) >= 5 AND count(DISTINCT status) >= 3
             AND bool_and(((status = 'COMPLETED') = (completed_at IS NOT NULL)
               AND (completed_at IS NULL) = (completed_by_id IS NULL)) IS TRUE)
             AND bool_and(completed_at::date <= %(today)s) AND bool_and((s.batch_id = p.batch_id) IS TRUE)
           FROM planning_plannedactivity p JOIN scenario s USING (scenario_id)""",
    ),
    Endpoint(
        "planning/planned-activities/?activity_type=TRANSFER",
        "completed ones and their workflows name each other, and end on one day",
        """SELECT count(*) > 0 AND bool_and((w.planned_activity_id = p.id AND w.batch_id = p.batch_id
             AND (p.completed_at AT TIME ZONE 'UTC')::date = w.actual_completion_date) IS TRUE)
           FROM planning_plannedactivity p LEFT JOIN batch_batchtransferworkflow w ON w.id = p.transfer_workflow_id
           WHERE activity_type = 'TRANSFER' AND p.status = 'COMPLETED'""",
    ),
    Endpoint(
        "planning/planned-activities/variance-report/",
        "some early, some late, most on time or nearly; open ones that are due are few",
        """SELECT bool_or(days < 0) AND bool_or(days > 0) AND bool_and(abs(days) <= 60)
             AND avg((days <= 0)::int) BETWEEN 0.3 AND 0.99
             AND avg((status IN ('PENDING', 'IN_PROGRESS') AND due_date < %(today)s)::int) < 0.1
           FROM (SELECT status, due_date, completed_at::date - due_date AS days FROM planning_plannedactivity
             WHERE status <> 'CANCELLED') p""",
    ),
    Endpoint(
        "planning/activity-templates/",
        "active ones of several types, each with what triggers it",
        """SELECT count(DISTINCT activity_type) >= 5 AND bool_and(CASE trigger_type
             WHEN 'DAY_OFFSET' THEN day_offset IS NOT NULL
             WHEN 'WEIGHT_THRESHOLD' THEN weight_threshold_g IS NOT NULL ELSE target_lifecycle_stage_id IS NOT NULL END)
           FROM planning_activitytemplate WHERE is_active""",
    ),
    Endpoint(
        "scenario/scenarios/{id}/planned-activities/",
        "each scenario has activities",
        """SELECT count(*) > 0 AND bool_and(EXISTS (SELECT FROM planning_plannedactivity p
             WHERE p.scenario_id = s.scenario_id)) FROM scenario s""",
    ),
)
