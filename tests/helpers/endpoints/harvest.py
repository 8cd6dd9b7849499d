"""Harvests and their lots."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

HARVEST = (
    Endpoint(
        "operational/harvest-events/",
        "each belongs to a closed assignment of its batch, on the day on which it closed",
        """SELECT count(*) > 0 AND bool_and((a.batch_id = e.batch_id AND NOT a.is_active
             AND a.departure_date = (event_date AT TIME ZONE 'UTC')::date) IS TRUE)
           FROM harvest_harvestevent e JOIN batch_batchcontainerassignment a ON a.id = e.assignment_id""",
    ),
    Endpoint(
        "operational/harvest-lots/",
        "lots have the fish of the assignment at its end, but those that were mixed; live above gutted above fillet",
        """SELECT count(*) > 0 AND bool_and((fish + mixed = population_count AND ordered) IS TRUE)
             FROM (SELECT a.population_count, coalesce((SELECT sum(m.population_count)
               FROM batch_batchmixeventcomponent m WHERE m.source_assignment_id = a.id), 0) AS mixed,
             sum(unit_count) AS fish, bool_and((live_weight_kg > gutted_weight_kg
               AND gutted_weight_kg > fillet_weight_kg) IS TRUE) AS ordered
             FROM harvest_harvestlot l JOIN harvest_harvestevent e ON e.id = l.event_id
             JOIN batch_batchcontainerassignment a ON a.id = e.assignment_id
             GROUP BY e.id, a.id, a.population_count) l""",
    ),
)
