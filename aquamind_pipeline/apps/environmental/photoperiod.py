"""Day length and light at each sea area, and the lamps that keep salmon from maturing.

The sun does not depend on the fish: every area has a row for every day of the farm, with or without a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from aquamind_pipeline.apps.infrastructure.places import areas
from aquamind_pipeline.arithmetic import Floats, Ints, arccosine, arctangent, cosine, rounded, sine
from aquamind_pipeline.months import day_after, first_day, month_of
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import FALSE, boolean, day, identity, numeric, refers, timestamp, unique
from aquamind_pipeline.schema.columns import date as date_column
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

LAMPS_SHARE, LAMPS_LAST_MONTH = 0.5, 6
"""Share of areas that are lit day and night in a year, and the last month: from January to June continuous light keeps
salmon from maturing (Oppedal et al. 1997, Aquaculture 159, 29-40; Porter et al. 1999, Aquaculture 174, 273-287)."""
SUN_LUX = 110_000.0
"""Light of a clear sky under a vertical sun."""
CLOUD_SHARE, CLOUD_DEVIATION = 0.8, 0.25
"""Mean and spread of the sky's cloud cover: about four fifths in the Faroes (Danish Meteorological Institute)."""

_CLEARNESS = (1.0, 0.999362, 0.993269, 0.973284, 0.928951, 0.848276, 0.717987, 0.523691, 0.25)
"""Light that eighths of cloud let through: 1 - 0.75 n^3.4 (Kasten & Czeplak 1980, Solar Energy 24, 177-189)."""
_SUNRISE_DEGREES = 0.8333  # the sun's upper edge, as air bends its light
_LONGEST_YEAR = 366


def declination(day_of_year: Ints) -> Floats:
    """The sun's declination in radians (Forsythe et al. 1995, Ecological Modelling 80, 87-95)."""
    half_turn = 0.00860 * (day_of_year - 186)
    tangent = sine(half_turn) / cosine(half_turn)
    revolution = 0.2163108 + 2.0 * arctangent(0.9671396 * tangent)
    sine_of_declination = 0.39795 * cosine(revolution)
    return arctangent(sine_of_declination / np.sqrt(1.0 - sine_of_declination * sine_of_declination))


def day_length_hours(latitude: Floats, day_of_year: Ints) -> Floats:
    """Hours from sunrise to sunset (Forsythe et al. 1995): the CBM model.

    Args:
        latitude: In degrees; broadcasts with the days.
        day_of_year: 1 on the first of January.
    """
    place, sun = latitude * (np.pi / 180.0), declination(day_of_year)
    upper_edge = sine(_SUNRISE_DEGREES * np.pi / 180.0)
    ratio = (upper_edge + sine(place) * sine(sun)) / (cosine(place) * cosine(sun))
    hours: Floats = 24.0 - 24.0 / np.pi * arccosine(np.clip(ratio, -1.0, 1.0))
    return hours


def clear_sky_lux(latitude: Floats, day_of_year: Ints) -> Floats:
    """Mean light between sunrise and sunset without a cloud: half of that at noon."""
    noon = cosine(latitude * (np.pi / 180.0) - declination(day_of_year))  # sine of the sun's height
    lux: Floats = 0.5 * SUN_LUX * np.maximum(noon, 0.0)
    return lux


@dataclass(frozen=True)
class _Sky:
    """The sea areas by id, and their sun on each day of a year, [days, areas]; the first of January is row 0."""

    area_id: Ints
    geography_id: Ints
    hours: Floats
    clear_lux: Floats

    @classmethod
    def over(cls, areas: pl.DataFrame) -> _Sky:
        """The sun over these areas."""
        sites, days = areas.sort("id"), np.arange(1, _LONGEST_YEAR + 1)[:, None]
        latitude = sites["latitude"].cast(pl.Float64).to_numpy()[None, :]
        return cls(
            sites["id"].to_numpy(),
            sites["geography_id"].to_numpy(),
            day_length_hours(latitude, days),
            clear_sky_lux(latitude, days),
        )


def photoperiods(inputs: Inputs) -> pl.DataFrame:
    """Rows of environmental_photoperioddata, sorted by day and area."""
    farm = inputs.farm
    sky = inputs.shared("sun over the areas", lambda: _Sky.over(inputs.whole("infrastructure_area")))
    dates = pl.date_range(*_days(farm, *inputs.months_to_make), "1d", eager=True)
    days = np.arange(dates.len()) + dates[0].toordinal()
    since_new_year = dates.dt.ordinal_day().to_numpy() - 1
    cloud = draws.normal(draws.stream(farm.seed, "photoperiod", "cloud"), sky.geography_id[None, :], days[:, None])
    oktas = np.rint(8.0 * np.clip(CLOUD_SHARE + CLOUD_DEVIATION * cloud, 0.0, 1.0)).astype(np.int64)
    year, month = dates.dt.year().to_numpy()[:, None], dates.dt.month().to_numpy()[:, None]
    chosen = draws.uniform(draws.stream(farm.seed, "photoperiod", "lamps"), sky.area_id[None, :], year)
    lit = (chosen < LAMPS_SHARE) & (month <= LAMPS_LAST_MONTH)
    hours = np.where(lit, 24.0, sky.hours[since_new_year])
    lux = sky.clear_lux[since_new_year] * np.array(_CLEARNESS)[oktas]
    areas, passed = sky.area_id.size, days - farm.epoch.toordinal()
    return pl.DataFrame(
        {
            "id": (passed[:, None] * areas + np.arange(1, areas + 1)[None, :]).ravel(),
            "area_id": np.tile(sky.area_id, days.size),
            "date": dates.gather(np.repeat(np.arange(days.size), areas)),
            "day_length_hours": rounded(hours.ravel(), 5, 2),
            "light_intensity": rounded(lux.ravel(), 10, 2),
        }
    )


def _days(farm: Profile, *months: str) -> tuple[date, date]:
    """First and last day that the farm has of successive months."""
    return max(first_day(months[0]), farm.epoch), min(day_after(months[-1]) - timedelta(days=1), farm.as_of)


def _rows(farm: Profile, plan: Plan) -> pl.DataFrame:
    """One row for each area and day."""
    days = pl.DataFrame({"date": pl.date_range(farm.epoch, farm.as_of, "1d", eager=True)})
    counted = days.group_by(month=month_of("date")).agg(rows=(pl.len() * areas(farm)).cast(pl.Int64))
    return counted.sort("month")


def _every_day(inputs: RuleInputs) -> CheckResult:
    """Every area has one row on every day of the month."""
    first, last = _days(inputs.farm, inputs.month)
    days = pl.DataFrame({"date": pl.date_range(first, last, "1d", eager=True)})
    due = inputs.whole("infrastructure_area").select(area_id="id").join(days, how="cross")
    counted = inputs.rows.group_by("area_id", "date").agg(rows=pl.len())
    both = due.join(counted, on=["area_id", "date"], how="full", coalesce=True)
    wrong = both.filter(pl.col("rows").ne_missing(1)).sort("date", "area_id")
    return check_result("every_day", wrong, "one row for each area and day", "areas' days without one row")


PHOTOPERIOD = TableDefinition(
    name="environmental_photoperioddata",
    kind=Kind.EVENT,
    scope=Scope.SITE,
    meaning="Day length and light at one sea area on one day.",
    how="Hours between sunrise and sunset by latitude and date; 24 where lamps burn through the night from January to "
    "June. Light is that of the day, as clouds let it through.",
    columns=(
        identity("id"),
        refers("area_id", "infrastructure_area.id"),
        date_column("date", primary_key=True),
        numeric("day_length_hours", 5, 2, range_=(0, 24), comment="Hours of light, of sun or lamps [h]"),
        numeric("light_intensity", 10, 2, nullable=True, range_=(0, None), comment="Mean light of the day [lux]"),
        boolean("is_interpolated", fill=FALSE),
        timestamp("created_at", fill=day("date")),
        timestamp("updated_at", fill=day("date")),
        unique("area_id", "date"),
    ),
    time="date",
    reads=("infrastructure_area",),
    generate=photoperiods,
    expected=ByFormula(_rows),
    lineage={"day_length_hours": "infrastructure_area.latitude", "light_intensity": "infrastructure_area.latitude"},
    rules=(
        Rule(
            "every_day",
            "Every sea area has one row for every day.",
            MISLEADING,
            _every_day,
            reads=("infrastructure_area",),
        ),
    ),
    bytes_per_row=(8, 237),
)

__all__ = ["PHOTOPERIOD", "clear_sky_lux", "day_length_hours"]
