"""Batches, assignments, transfers and forecasts."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

BATCHES = (
    Endpoint(
        "batch/batches/",
        "batches of five statuses; finished ones have an end, and only living ones an active assignment",
        """SELECT count(DISTINCT status) >= 5 AND bool_and((status = 'COMPLETED') = (actual_end_date IS NOT NULL))
             AND bool_and(((status IN ('ACTIVE', 'RECEIVING')) = EXISTS (SELECT FROM batch_batchcontainerassignment a
               WHERE a.batch_id = b.id AND a.is_active)) IS TRUE)
           FROM batch_batch b""",
    ),
    Endpoint(
        "batch/batches/{id}/growth_analysis/",
        "each active or finished batch has growth samples, and its fish grow from the first to the last",
        """SELECT count(*) = (SELECT count(*) FROM batch_batch WHERE status IN ('ACTIVE', 'COMPLETED'))
             AND count(*) > 0 AND bool_and((days > 1
             AND last > first) IS TRUE) FROM (
             SELECT b.id, count(DISTINCT sample_date) AS days,
               (array_agg(s.avg_weight_g ORDER BY sample_date))[1] AS first,
               (array_agg(s.avg_weight_g ORDER BY sample_date DESC))[1] AS last
             FROM batch_batch b JOIN batch_batchcontainerassignment a ON a.batch_id = b.id
             JOIN batch_growthsample s ON s.assignment_id = a.id GROUP BY 1) g""",
    ),
    Endpoint(
        "batch/batches/{id}/performance_metrics/",
        "a living batch has fish, and its deaths are below half of them; a finished one shows 100 %",
        """SELECT count(*) > 0 AND bool_and((fish > 0 AND deaths > 0 AND deaths < fish) IS TRUE) FROM (
             SELECT (SELECT sum(population_count) FROM batch_batchcontainerassignment a
                 WHERE a.batch_id = b.id AND is_active) AS fish,
               (SELECT sum(count) FROM batch_mortalityevent m WHERE m.batch_id = b.id) AS deaths
             FROM batch_batch b WHERE status = 'ACTIVE') b""",
    ),
    Endpoint(
        "batch/batches/compare/?batch_ids=",
        "two active batches of one age, in different geographies",
        """SELECT bool_or(same >= 2) FROM (SELECT count(DISTINCT split_part(batch_number, '-', 1)) AS same
             FROM batch_batch WHERE status = 'ACTIVE' GROUP BY start_date) b""",
    ),
    Endpoint(
        "batch/batches/geography-summary/",
        "each geography has fish in holding containers, samples, deaths and feeding summaries",
        """SELECT count(*) = (SELECT count(*) FROM infrastructure_geography) AND count(*) > 0
             AND bool_and((fish > 0 AND biomass > 0 AND samples > 0 AND deaths > 0 AND feed > 0) IS TRUE) FROM (
             SELECT g.id, sum(a.population_count) AS fish, sum(a.biomass_kg) AS biomass,
               sum((SELECT count(*) FROM batch_growthsample s WHERE s.assignment_id = a.id)) AS samples,
               sum((SELECT sum(count) FROM batch_mortalityevent m WHERE m.assignment_id = a.id)) AS deaths,
               sum((SELECT sum(total_feed_kg) FROM inventory_batchfeedingsummary f WHERE f.batch_id = a.batch_id))
             AS feed
             FROM batch_batchcontainerassignment a JOIN infrastructure_container c ON c.id = a.container_id
             LEFT JOIN infrastructure_hall h ON h.id = c.hall_id
             LEFT JOIN infrastructure_freshwaterstation f ON f.id = h.freshwater_station_id
             LEFT JOIN infrastructure_area r ON r.id = c.area_id
             JOIN infrastructure_geography g ON g.id = coalesce(r.geography_id, f.geography_id)
             WHERE a.is_active AND c.hierarchy_role = 'HOLDING' GROUP BY 1) g""",
    ),
    Endpoint(
        "batch/batches/{id}/combined-growth-data/",
        "each active or finished batch has a pinned run with rows, samples and states, and no assignment has a null",
        """SELECT count(*) > 0 AND bool_and((nulls = 0 AND (status NOT IN ('ACTIVE', 'COMPLETED')
             OR projected > 0 AND states > 0 AND samples > 0)) IS TRUE) FROM (
             SELECT status, (SELECT count(*) FROM scenario_scenarioprojection p
                 WHERE p.projection_run_id = b.pinned_projection_run_id) AS projected,
               (SELECT count(*) FROM batch_actualdailyassignmentstate s WHERE s.batch_id = b.id) AS states,
               (SELECT count(*) FROM batch_growthsample s JOIN batch_batchcontainerassignment a
                 ON a.id = s.assignment_id WHERE a.batch_id = b.id) AS samples,
               (SELECT count(*) FROM batch_batchcontainerassignment a
                 WHERE a.batch_id = b.id AND (biomass_kg IS NULL OR biomass_kg = 0 OR avg_weight_g IS NULL)) AS nulls
             FROM batch_batch b) b""",
    ),
    Endpoint(
        "batch/batches/{id}/insights-timeseries/?metrics=",
        "deaths, feed and readings of the last 90 days of each living batch",
        """SELECT count(*) > 0 AND bool_and((
             EXISTS (SELECT FROM batch_mortalityevent m WHERE m.batch_id = b.id AND event_date > %(today)s - 90)
             AND EXISTS (SELECT FROM inventory_feedingevent f WHERE f.batch_id = b.id AND feeding_date > %(today)s - 90)
             AND (SELECT count(DISTINCT lower(p.name)) >= 3 FROM environmental_environmentalreading r
               JOIN environmental_environmentalparameter p ON p.id = r.parameter_id
               WHERE r.batch_id = b.id AND r.reading_time > %(today)s - 90)) IS TRUE)
           FROM batch_batch b WHERE status = 'ACTIVE'""",
    ),
    Endpoint(
        "batch/batches/{id}/mixed-lineage/?as_of_date=",
        "each mixed batch has one mix event; its assignment, components and compositions agree, shares make 100 %",
        """SELECT count(*) > 0 AND bool_and((events = 1 AND c.batches = 2 AND c.percentage = 100 AND c.came = 1
             AND p.percentage = 100 AND p.fish = c.fish AND p.batches = c.batches
             AND c.fish = a.population_count + dead) IS TRUE)
           FROM batch_batch b JOIN batch_batchcontainerassignment a ON a.batch_id = b.id,
             LATERAL (SELECT count(*) AS events FROM batch_batchmixevent e WHERE e.mixed_batch_id = b.id
               AND e.mixed_at::date = b.start_date AND e.container_id = a.container_id) e,
             LATERAL (SELECT count(DISTINCT m.source_batch_id) AS batches, sum(m.percentage) AS percentage,
               sum(m.population_count) AS fish, count(*) FILTER (WHERE is_transferred_in) AS came
               FROM batch_batchmixevent e JOIN batch_batchmixeventcomponent m ON m.mix_event_id = e.id
               JOIN batch_batchcontainerassignment s ON s.id = m.source_assignment_id
                 AND s.batch_id = m.source_batch_id AND s.departure_date = b.start_date AND NOT s.is_active
               WHERE e.mixed_batch_id = b.id) c,
             LATERAL (SELECT count(*) AS batches, sum(percentage) AS percentage, sum(population_count) AS fish
               FROM batch_batchcomposition k WHERE k.mixed_batch_id = b.id) p,
             LATERAL (SELECT coalesce(sum(count), 0) AS dead FROM batch_mortalityevent d WHERE d.batch_id = b.id) d
           WHERE batch_type = 'MIXED'""",
    ),
    Endpoint(
        "batch/batch-compositions/",
        "shares of other batches by number of fish, never of the mixed batch itself",
        """SELECT count(*) > 0 AND bool_and((k.source_batch_id <> k.mixed_batch_id AND k.biomass_kg > 0
             AND abs(k.percentage - 100.0 * k.population_count / t.fish) <= 0.01) IS TRUE)
           FROM batch_batchcomposition k JOIN (SELECT mixed_batch_id, sum(population_count) AS fish
             FROM batch_batchcomposition GROUP BY 1) t USING (mixed_batch_id)""",
    ),
    Endpoint(
        "batch/batches/{id}/planned-activities/",
        "each active or finished batch that began as eggs has more than five completed ones, and a mixed one its "
        "harvest",
        """SELECT count(*) > 0 AND bool_and(((SELECT count(*) FROM planning_plannedactivity p
             WHERE p.batch_id = b.id AND p.status = 'COMPLETED') > 5) IS TRUE) FILTER (WHERE batch_type = 'STANDARD')
             AND bool_and(EXISTS (SELECT FROM planning_plannedactivity p WHERE p.batch_id = b.id
               AND p.activity_type = 'HARVEST')) FILTER (WHERE batch_type = 'MIXED')
           FROM batch_batch b WHERE status IN ('ACTIVE', 'COMPLETED')""",
    ),
    Endpoint(
        "batch/container-assignments/summary/",
        "the biomass of each active assignment is that of its fish and its weight",
        """SELECT count(*) > 0 AND bool_and((population_count > 0
             AND abs(biomass_kg - population_count * avg_weight_g / 1000) <= 0.01) IS TRUE)
           FROM batch_batchcontainerassignment WHERE is_active""",
    ),
    Endpoint(
        "batch/container-assignments/lifecycle-progression/",
        "a stage that has ended keeps the fish and the biomass that it ended with",
        """SELECT count(*) > 0 AND bool_and((fish > 0 AND biomass > 0) IS TRUE) AND
             bool_and((stages = CASE batch_type WHEN 'MIXED' THEN 1 ELSE 6 END) IS TRUE) FROM (
             SELECT sum(population_count) AS fish, min(biomass_kg) AS biomass,
               (SELECT count(DISTINCT o.lifecycle_stage_id) FROM batch_batchcontainerassignment o
                 WHERE o.batch_id = a.batch_id) AS stages, min(batch_type) AS batch_type
             FROM batch_batchcontainerassignment a JOIN batch_batch b ON b.id = a.batch_id
             WHERE b.status IN ('ACTIVE', 'COMPLETED')
             GROUP BY batch_id, a.lifecycle_stage_id) s""",
    ),
    Endpoint(
        "batch/container-assignments/{id}/live-forward-projection/",
        "each active assignment of an active batch has days from the day after today on, and none twice",
        """SELECT count(*) > 0 AND bool_and((days > 0 AND days = rows AND first = %(today)s + 1) IS TRUE) FROM (
             SELECT a.id, count(DISTINCT p.projection_date) AS days, count(p.id) AS rows,
               min(p.projection_date) AS first
             FROM batch_batchcontainerassignment a LEFT JOIN batch_liveforwardprojection p
               ON p.assignment_id = a.id AND p.computed_date = %(today)s
             JOIN batch_batch b ON b.id = a.batch_id AND b.status = 'ACTIVE' WHERE a.is_active GROUP BY 1) p""",
    ),
    Endpoint(
        "batch/forecast/harvest/",
        "the pinned run of a living batch reaches 5,000 g, and its newest states have confidence",
        """SELECT count(*) > 0 AND bool_and((reached >= b.start_date) IS TRUE) AND bool_or(confidence > 0)
             FROM (SELECT b.start_date,
             (SELECT min(projection_date) FROM scenario_scenarioprojection p
               WHERE p.projection_run_id = b.pinned_projection_run_id AND average_weight >= 5000) AS reached,
             (SELECT max(s.state_confidence) FROM batch_containerforecastsummary s
               JOIN batch_batchcontainerassignment a ON a.id = s.assignment_id WHERE a.batch_id = b.id) AS confidence
             FROM batch_batch b WHERE status = 'ACTIVE') b""",
    ),
    Endpoint(
        "batch/forecast/sea-transfer/",
        "each pinned run of a batch that was in fresh water reaches 100 g there",
        """SELECT count(*) > 0 AND bool_and((reached > start_date AND reached < sea) IS TRUE) FROM (SELECT b.start_date,
             (SELECT min(projection_date) FROM scenario_scenarioprojection p
               WHERE p.projection_run_id = b.pinned_projection_run_id AND average_weight >= 100) AS reached,
             coalesce((SELECT min(assignment_date) FROM batch_batchcontainerassignment a
               JOIN infrastructure_container c ON c.id = a.container_id
               WHERE a.batch_id = b.id AND c.area_id IS NOT NULL), 'infinity') AS sea FROM batch_batch b
               WHERE batch_type = 'STANDARD' AND status IN ('ACTIVE', 'COMPLETED')) b""",
    ),
    Endpoint(
        "batch/forecast/tiered-harvest/",
        "each active assignment of an active batch has a summary of today, and the flag of a plan is that of an open "
        "activity",
        """SELECT count(*) > 0 AND bool_and((s.computed_date = %(today)s AND s.current_weight_g > 0
             AND s.has_planned_harvest = EXISTS (SELECT FROM planning_plannedactivity p WHERE p.batch_id = a.batch_id
               AND activity_type = 'HARVEST' AND status IN ('PENDING', 'IN_PROGRESS')
               AND coalesce(p.container_id, a.container_id) = a.container_id)) IS TRUE)
             AND count(s.assignment_id) = count(*)
           FROM batch_batchcontainerassignment a LEFT JOIN batch_containerforecastsummary s ON s.assignment_id = a.id
             JOIN batch_batch b ON b.id = a.batch_id AND b.status = 'ACTIVE' WHERE a.is_active""",
    ),
    Endpoint(
        "batch/containers/availability/?geography=",
        "each geography has empty rings, rings with fish, and none with two batches",
        """SELECT count(*) > 0 AND bool_and((full_ > 0 AND empty > 0 AND most = 1) IS TRUE) FROM (SELECT geography_id,
             count(*) FILTER (WHERE batches > 0) AS full_, count(*) FILTER (WHERE batches = 0) AS empty,
             max(batches) AS most
             FROM (SELECT r.geography_id, c.id, count(DISTINCT a.batch_id) AS batches FROM infrastructure_container c
               JOIN infrastructure_area r ON r.id = c.area_id LEFT JOIN batch_batchcontainerassignment a
                 ON a.container_id = c.id AND a.is_active GROUP BY 1, 2) c GROUP BY 1) g""",
    ),
    Endpoint(
        "batch/transfer-workflows/",
        "completed ones have dates, totals of their actions and who completed them; transfers and redistributions",
        """SELECT count(DISTINCT workflow_type) >= 2 AND count(DISTINCT status) >= 2
             AND bool_and((status <> 'COMPLETED' OR (actual_start_date <= actual_completion_date
               AND planned_completion_date IS NOT NULL AND completed_by_id IS NOT NULL
               AND total_source_count >= total_transferred_count * 0.5)) IS TRUE)
             AND bool_and((total_transferred_count = t.moved AND actions_completed = t.done
               AND total_actions_planned = t.planned) IS TRUE)
             AND bool_and((status <> 'CANCELLED' OR cancellation_reason <> '') IS TRUE)
           FROM batch_batchtransferworkflow w JOIN (SELECT workflow_id, count(*) AS planned,
             coalesce(sum(transferred_count) FILTER (WHERE status = 'COMPLETED'), 0) AS moved,
             count(*) FILTER (WHERE status = 'COMPLETED') AS done FROM batch_transferaction GROUP BY 1) t
             ON t.workflow_id = w.id""",
    ),
    Endpoint(
        "batch/transfer-workflows/{id}/execution-context/",
        "dynamic transfers have a route, its legs and carriers with tanks",
        """SELECT count(*) > 0 AND bool_and((dynamic_route_mode IS NOT NULL AND estimated_total_count > 0) IS TRUE)
             AND bool_and(((SELECT bool_and(coalesce(leg_type, '') <> '')
             FROM batch_transferaction t WHERE t.workflow_id = w.id)) IS TRUE)
             AND (SELECT count(DISTINCT carrier_type) = 2 FROM infrastructure_transportcarrier k
               JOIN infrastructure_container c ON c.carrier_id = k.id WHERE k.active AND c.active)
           FROM batch_batchtransferworkflow w WHERE is_dynamic_execution""",
    ),
)
