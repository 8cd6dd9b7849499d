"""Places and their summaries."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

INFRASTRUCTURE = (
    Endpoint(
        "infrastructure/overview/",
        "containers, fish in some of them, and meals today",
        """SELECT count(*) > 0 AND EXISTS (SELECT FROM inventory_feedingevent WHERE feeding_date = %(today)s)
             AND sum(a.biomass_kg) > 0
           FROM infrastructure_container c LEFT JOIN batch_batchcontainerassignment a
             ON a.container_id = c.id AND a.is_active""",
    ),
    Endpoint(
        "infrastructure/geographies/{id}/summary/",
        "each has areas, stations, halls and containers",
        """SELECT count(*) > 0 AND bool_and((EXISTS (SELECT FROM infrastructure_area a JOIN infrastructure_container c
               ON c.area_id = a.id WHERE a.geography_id = g.id)
             AND EXISTS (SELECT FROM infrastructure_freshwaterstation f JOIN infrastructure_hall h
               ON h.freshwater_station_id = f.id JOIN infrastructure_container c ON c.hall_id = h.id
               WHERE f.geography_id = g.id)) IS TRUE)
           FROM infrastructure_geography g""",
    ),
    Endpoint(
        "infrastructure/areas/{id}/summary/",
        "each has rings; the fish of its active assignments are those of the newest states",
        """SELECT count(*) > 0 AND bool_and((a.population_count = s.population) IS TRUE)
             AND NOT EXISTS (SELECT FROM infrastructure_area r WHERE NOT EXISTS
               (SELECT FROM infrastructure_container c WHERE c.area_id = r.id))
           FROM batch_batchcontainerassignment a JOIN infrastructure_container c ON c.id = a.container_id
           JOIN batch_actualdailyassignmentstate s ON s.assignment_id = a.id AND s.date = %(today)s
           WHERE a.is_active AND c.area_id IS NOT NULL""",
    ),
    Endpoint(
        "infrastructure/freshwater-stations/{id}/summary/",
        "each has halls with containers and a geography",
        """SELECT count(*) > 0 AND bool_and((geography_id IS NOT NULL AND EXISTS (SELECT FROM infrastructure_hall h
             JOIN infrastructure_container c ON c.hall_id = h.id WHERE h.freshwater_station_id = f.id)) IS TRUE)
           FROM infrastructure_freshwaterstation f""",
    ),
    Endpoint(
        "infrastructure/halls/{id}/summary/",
        "each has containers, and the biomass in them stays below their limit",
        """SELECT count(*) > 0 AND bool_and(EXISTS (SELECT FROM infrastructure_container c WHERE c.hall_id = h.id))
             AND NOT EXISTS (SELECT FROM batch_batchcontainerassignment a JOIN infrastructure_container c
               ON c.id = a.container_id WHERE a.is_active AND a.biomass_kg > c.max_biomass_kg)
           FROM infrastructure_hall h""",
    ),
)
