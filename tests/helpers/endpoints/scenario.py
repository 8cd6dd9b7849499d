"""Scenarios, their models and runs."""

from __future__ import annotations

from tests.helpers.endpoints.endpoint import Endpoint

SCENARIO = (
    Endpoint(
        "scenario/scenarios/?all=true",
        "each batch that has begun has one, of a user who exists, with a first weight and fish",
        """SELECT count(*) > 0 AND count(DISTINCT batch_id) = (SELECT count(*) FROM batch_batch
               WHERE status NOT IN ('PLANNED', 'CANCELLED'))
             AND bool_and((u.id IS NOT NULL AND initial_weight >= 0.1 AND initial_count > 0) IS TRUE)
           FROM scenario s LEFT JOIN auth_user u ON u.id = s.created_by_id""",
    ),
    Endpoint(
        "scenario/scenarios/{id}/projection_runs/",
        "a run's totals are those of its rows and of its last day; it keeps a snapshot of the models",
        """SELECT count(*) > 0 AND bool_and((r.total_projections = p.days AND r.final_weight_g = p.weight
             AND r.final_biomass_kg = p.biomass AND r.parameters_snapshot ?& ARRAY['tgc_model', 'fcr_model',
               'mortality_model', 'scenario']) IS TRUE)
           FROM scenario_projection_run r LEFT JOIN (SELECT projection_run_id, count(*) AS days,
             (array_agg(average_weight ORDER BY day_number DESC))[1] AS weight,
             (array_agg(biomass ORDER BY day_number DESC))[1] AS biomass
             FROM scenario_scenarioprojection GROUP BY 1) p ON p.projection_run_id = r.run_id""",
    ),
    Endpoint(
        "scenario/scenarios/{id}/projections/",
        "each day of the scenario once, from its first to its last",
        """SELECT count(*) > 0 AND bool_and((rows = duration_days AND days = duration_days AND dated) IS TRUE) FROM (
             SELECT s.scenario_id, s.duration_days, count(p.day_number) AS rows,
               count(DISTINCT p.day_number) AS days,
               bool_and((p.projection_date = s.start_date + p.day_number - 1) IS TRUE) AS dated
             FROM scenario s LEFT JOIN scenario_projection_run r USING (scenario_id)
             LEFT JOIN scenario_scenarioprojection p ON p.projection_run_id = r.run_id GROUP BY 1, 2) s""",
    ),
    Endpoint(
        "scenario/scenarios/{id}/chart_data/",
        "fish gain weight and become fewer; feed only adds up; every stage is there",
        """SELECT count(*) > 0 AND bool_and((heavier AND fewer AND more) IS TRUE)
             AND count(DISTINCT current_stage_id) = 6 FROM (
             SELECT current_stage_id, average_weight >= coalesce(lag(average_weight) OVER days, 0) AS heavier,
               population <= coalesce(lag(population) OVER days, population) AS fewer,
               cumulative_feed >= coalesce(lag(cumulative_feed) OVER days, 0) AS more
             FROM scenario_scenarioprojection WINDOW days AS (PARTITION BY projection_run_id ORDER BY day_number)) p""",
    ),
    Endpoint(
        "scenario/scenarios/compare/",
        "two scenarios with different results",
        """SELECT count(DISTINCT final_weight_g) >= 2 FROM scenario_projection_run""",
    ),
    Endpoint(
        "scenario/scenarios/summary_stats/",
        "scenarios with durations and fish, of several growth models",
        """SELECT avg(duration_days) > 0 AND avg(initial_count) > 0 AND count(DISTINCT tgc_model_id) >= 2
             FROM scenario""",
    ),
    Endpoint(
        "scenario/scenarios/{id}/export/",
        "each projected day has a stage, a temperature and feed",
        """SELECT count(*) > 0 AND bool_and((l.id IS NOT NULL AND temperature > 0 AND daily_feed IS NOT NULL) IS TRUE)
           FROM scenario_scenarioprojection p LEFT JOIN batch_lifecyclestage l ON l.id = p.current_stage_id""",
    ),
    Endpoint(
        "scenario/temperature-profiles/{id}/statistics/",
        "each profile has days 1 to the last without a gap, with temperatures of water",
        """SELECT count(*) = (SELECT count(*) FROM scenario_temperatureprofile) AND count(*) > 0
             AND bool_and((first = 1 AND days = last AND low > 0 AND high < 25) IS TRUE)
           FROM (SELECT profile_id, min(day_number) AS first, max(day_number) AS last, count(*) AS days,
             min(temperature) AS low, max(temperature) AS high FROM scenario_temperaturereading GROUP BY 1) p""",
    ),
    Endpoint(
        "scenario/fcr-models/{id}/stage_summary/",
        "a model has a conversion and a duration for each stage that its batches live, and overrides without overlaps",
        """SELECT count(DISTINCT stage_id) = 6 AND bool_and((duration_days > 0 AND fcr_value >= 0) IS TRUE)
             AND NOT EXISTS (SELECT FROM scenario_fcr_model_stage_override o JOIN scenario_fcr_model_stage_override p
               ON p.fcr_stage_id = o.fcr_stage_id AND p.id <> o.id
               AND p.min_weight_g < o.max_weight_g AND o.min_weight_g < p.max_weight_g)
           FROM scenario_fcrmodelstage""",
    ),
    Endpoint(
        "scenario/biological-constraints/active/",
        "active sets with a row for each stage's name, and `smolt` and `harvest` for forecasts",
        """SELECT count(*) > 0 AND bool_and((names @> (SELECT array_agg(name::text) FROM batch_lifecyclestage)
             AND names @> ARRAY['smolt', 'harvest']) IS TRUE) AND bool_and(limits IS TRUE)
           FROM (SELECT constraint_set_id, array_agg(lifecycle_stage::text) AS names,
             bool_and((max_weight_g > coalesce(min_weight_g, 0)) IS TRUE) AS limits
             FROM scenario_stage_constraint s JOIN scenario_biological_constraints b ON b.id = s.constraint_set_id
             WHERE b.is_active GROUP BY 1) s""",
    ),
)
