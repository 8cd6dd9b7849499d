"""Lice, treatments, journal, samples."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

HEALTH = (
    Endpoint(
        "health/lice-counts/summary/",
        "a mean of all lice per fish above 0, and adult females and both species in it",
        """SELECT sum(count_value)::float / sum(fish_sampled) > 0
             AND count(DISTINCT species) FILTER (WHERE count_value > 0) >= 2
             AND bool_or(gender = 'female' AND development_stage = 'adult' AND count_value > 0)
             AND bool_and((t.id IS NOT NULL AND count_value >= 0 AND fish_sampled > 0) IS TRUE)
           FROM health_licecount LEFT JOIN health_licetype t ON t.id = lice_type_id""",
    ),
    Endpoint(
        "health/lice-counts/summary/?geography=",
        "counts name their ring, and the ring lies in an area, in each geography",
        """SELECT count(DISTINCT a.geography_id) = (SELECT count(*) FROM infrastructure_geography)
             AND (SELECT bool_and(container_id IS NOT NULL AND assignment_id IS NOT NULL) FROM health_licecount)
           FROM health_licecount JOIN infrastructure_container c ON c.id = container_id
           JOIN infrastructure_area a ON a.id = c.area_id""",
    ),
    Endpoint(
        "health/lice-counts/trends/?interval=weekly",
        "every week of a full month in which rings hold fish has counts, and one format only",
        """WITH weeks AS (SELECT date_trunc('week', date) AS week FROM batch_actualdailyassignmentstate s
             JOIN batch_batchcontainerassignment a ON a.id = s.assignment_id
             JOIN infrastructure_container c ON c.id = a.container_id WHERE c.area_id IS NOT NULL
             GROUP BY 1 HAVING count(DISTINCT date) = 7)
           SELECT count(*) > 0 AND bool_and(counts.week IS NOT NULL)
             AND NOT EXISTS (SELECT FROM health_licecount
               WHERE lice_type_id IS NULL OR adult_female_count + adult_male_count + juvenile_count > 0)
           FROM weeks LEFT JOIN (SELECT DISTINCT date_trunc('week', count_date AT TIME ZONE 'UTC')::timestamptz AS week
             FROM health_licecount) counts ON counts.week = weeks.week""",
    ),
    Endpoint(
        "health/treatments/?outcome=",
        "past and recent ones of several types, and none that ends after the farm's last day is called successful",
        """SELECT count(DISTINCT treatment_type) >= 2 AND count(DISTINCT outcome) >= 2
             AND bool_and((treatment_date::date <= %(today)s) IS TRUE)
             AND bool_and((treatment_date::date + duration_days <= %(today)s OR outcome = 'pending') IS TRUE)
             AND bool_and((treatment_type <> '' AND outcome <> '') IS TRUE)
           FROM health_treatment""",
    ),
    Endpoint(
        "health/treatments/?batch=",
        "batch and container belong to the assignment, which is alive on that day",
        """SELECT count(*) > 0 AND bool_and((t.batch_id = a.batch_id AND t.container_id = a.container_id
             AND t.treatment_date::date >= a.assignment_date
             AND t.treatment_date::date <= coalesce(a.departure_date, %(today)s)) IS TRUE)
           FROM health_treatment t LEFT JOIN batch_batchcontainerassignment a ON a.id = t.batch_assignment_id""",
    ),
    Endpoint(
        "health/journal-entries/",
        "entries of several categories, most of them resolved, open ones of the last weeks only",
        """SELECT count(DISTINCT category) >= 4 AND avg(resolution_status::int) > 0.5
             AND bool_and((resolution_status OR entry_date::date > %(today)s - 45) IS TRUE)
             AND bool_and((category <> '' AND entry_date::date <= %(today)s) IS TRUE)
           FROM health_journalentry""",
    ),
    Endpoint(
        "health/mortality-records/",
        "deaths by leaf of the tree of reasons, never more than the events of the container",
        """SELECT count(*) > 0 AND bool_and((count > 0 AND count <= (SELECT sum(e.count) FROM batch_mortalityevent e
             WHERE e.assignment_id = r.assignment_id AND e.event_date <= r.event_date::date)
             AND reason_id IS NOT NULL) IS TRUE)
             AND NOT bool_or(EXISTS (SELECT FROM health_mortalityreason below WHERE below.parent_id = r.reason_id))
           FROM health_mortalityrecord r""",
    ),
    Endpoint(
        "health/mortality-reasons/?top_level=true",
        "reasons without a parent, and reasons below them",
        """SELECT count(*) FILTER (WHERE parent_id IS NULL) > 1 AND count(*) FILTER (WHERE parent_id IS NOT NULL) > 1
           FROM health_mortalityreason""",
    ),
    Endpoint(
        "health/health-sampling-events/",
        "stored sizes, means and deviations are those of the fish",
        """SELECT count(*) > 0 AND bool_and((e.calculated_sample_size = f.fish AND e.number_of_fish_sampled = f.fish
             AND abs(e.avg_weight_g - f.weight) <= 0.01 AND abs(e.std_dev_weight_g - f.deviation) <= 0.01) IS TRUE)
           FROM health_healthsamplingevent e LEFT JOIN (SELECT sampling_event_id, count(*) AS fish,
             avg(weight_g) AS weight, stddev_pop(weight_g) AS deviation
             FROM health_individualfishobservation GROUP BY 1) f ON f.sampling_event_id = e.id""",
    ),
    Endpoint(
        "health/individual-fish-observations/",
        "each fish has weight and length",
        """SELECT count(*) > 0 AND bool_and((weight_g > 0 AND length_cm > 0) IS TRUE)
           FROM health_individualfishobservation""",
    ),
    Endpoint(
        "health/fish-parameter-scores/",
        "each fish has a score of each active parameter, and each score has a definition",
        """SELECT count(*) = (SELECT count(*) FROM health_individualfishobservation)
               * (SELECT count(*) FROM health_healthparameter WHERE is_active)
             AND bool_and(d.id IS NOT NULL AND s.individual_fish_observation_id IS NOT NULL)
           FROM health_fishparameterscore s LEFT JOIN health_parameterscoredefinition d
             ON d.parameter_id = s.parameter_id AND d.score_value = s.score""",
    ),
    Endpoint(
        "health/health-parameters/",
        "the nine of AquaMind's migrations, none twice, each with four definitions",
        """SELECT count(*) = 9 AND bool_and((definitions = 4) IS TRUE) FROM (SELECT p.id, count(d.id) AS definitions
             FROM health_healthparameter p LEFT JOIN health_parameterscoredefinition d ON d.parameter_id = p.id
             WHERE p.is_active GROUP BY 1) p""",
    ),
    Endpoint(
        "health/health-lab-samples/",
        "taken, sent and answered in this order; answers of the last days are missing",
        """SELECT count(*) > 0 AND bool_and((date_sent_to_lab >= sample_date) IS TRUE)
             AND bool_and((date_results_received >= date_sent_to_lab
               OR date_results_received IS NULL AND sample_date > %(today)s - 20) IS TRUE)
             AND bool_and((quantitative_results IS NOT NULL) = (date_results_received IS NOT NULL))
           FROM health_healthlabsample""",
    ),
    Endpoint(
        "batch/batches/{id}/insights-timeseries/",
        "scores of the last 90 days",
        """SELECT count(*) > 0 FROM health_fishparameterscore s
           JOIN health_individualfishobservation f ON f.id = s.individual_fish_observation_id
           JOIN health_healthsamplingevent e ON e.id = f.sampling_event_id WHERE e.sampling_date > %(today)s - 90""",
    ),
)
