"""Water and light."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

ENVIRONMENT = (
    Endpoint(
        "environmental/readings/recent/",
        "each container with fish has readings of the last two days",
        """SELECT count(*) > 0 AND bool_and(EXISTS (SELECT FROM environmental_environmentalreading r
             WHERE r.container_id = a.container_id AND reading_time >= %(today)s - 1))
           FROM batch_batchcontainerassignment a WHERE is_active""",
    ),
    Endpoint(
        "environmental/readings/by_container/",
        "readings name the sensor of their container",
        """SELECT count(*) > 0 AND bool_and((s.container_id = r.container_id) IS TRUE)
           FROM environmental_environmentalreading r JOIN infrastructure_sensor s ON s.id = r.sensor_id""",
    ),
    Endpoint(
        "environmental/readings/stats/",
        "readings of the last 7 days, of both spellings of temperature",
        """SELECT count(*) FILTER (WHERE name = 'temperature') > 0 AND count(*) FILTER (WHERE name = 'Temperature') > 0
             AND count(DISTINCT name) >= 4
           FROM environmental_environmentalreading r JOIN environmental_environmentalparameter p
             ON p.id = r.parameter_id WHERE reading_time > %(today)s - 7""",
    ),
    Endpoint(
        "environmental/photoperiod/",
        "each area has each day once, up to today, with light of 0 to 24 hours",
        """SELECT count(*) > 0 AND bool_and((rows = days AND last = %(today)s AND low >= 0 AND high <= 24) IS TRUE)
             AND count(*) = (SELECT count(*) FROM infrastructure_area)
           FROM (SELECT area_id, count(*) AS rows, max(date) - min(date) + 1 AS days, max(date) AS last,
             min(day_length_hours) AS low, max(day_length_hours) AS high
             FROM environmental_photoperioddata GROUP BY 1) a""",
    ),
)
