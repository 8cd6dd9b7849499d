"""The report: five sections, every figure computed from the database (at night the last months', see `report.sums`).

Sections and thresholds are those of AquaMind's own verification script (reference e.1), with its gaps closed:
volumes are compared with the plan's formula exactly, doubling is looked for at every transition, every batch is tested.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from psycopg import sql
from pydantic import SecretStr
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from aquamind_pipeline import tables
from aquamind_pipeline.errors import DatabaseError, LakeError
from aquamind_pipeline.farm.volume import total_volume
from aquamind_pipeline.pipeline.preview import preview
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection, connect, described
from aquamind_pipeline.postgres.inspection import frame, large_frame, look_at_ours, month_counts, row_counts
from aquamind_pipeline.report import series, sums
from aquamind_pipeline.report.series import Series
from aquamind_pipeline.report.sums import Sums, weight_g
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.biology import STAGES, TRANSFER_MORTALITY
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule

SURVIVAL_TOLERANCE = 0.02
"""How far a batch's first-stage survival may lie from its rate: broods differ by 1.5 % of the rate (one sigma)."""


@dataclass(frozen=True)
class Check:
    """One verdict."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Section:
    """A part of the report: a table of figures and the verdicts on them."""

    title: str
    columns: list[str]
    rows: list[list[Any]]
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """What a database holds, and whether it is what it should be."""

    farm: str
    database: str
    as_of: str
    sections: list[Section]

    @property
    def checks(self) -> list[Check]:
        """Verdicts of all sections."""
        return [check for section in self.sections for check in section.checks]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


def verify(url: SecretStr, farm: Profile, since: str | None = None, kept: Path | None = None) -> tuple[Report, Series]:
    """Compute the report, and what its pictures show.

    Args:
        url: The database.
        farm: The farm that it should hold; how far it reaches is read from the database.
        since: Rows of earlier months are not counted again, nor summed up where `kept` has their sums.
        kept: The folder where sums of months are left for the next report.

    Raises:
        DatabaseError: when the database cannot be read, or holds no farm or another one.
    """
    with connect(url) as connection:
        look_at_ours(connection, url)
        query = sql.SQL("SELECT description, as_of, identity FROM {}").format(sql.Identifier(journal.OURS, "farm"))
        held = frame(connection, query)
        if held.is_empty() or held["identity"][0] != farm.identity:
            name = held["description"][0] if held.height else "no whole farm"
            raise DatabaseError(f"{described(url)} holds {name}, not profile {farm.name} with seed {farm.seed}")
        farm = farm.model_copy(update={"as_of": held["as_of"][0]})
        plan = schedule(farm)
        months = month_counts(url, tables.MONTHLY_TABLES, since)
        counts = row_counts(url, [name for name in tables.TABLES if name not in tables.MONTHLY_TABLES])
        counts |= {name: int(months.filter(pl.col("table") == name)["rows"].sum()) for name in tables.MONTHLY_TABLES}
        connection.execute(_PLAIN_PLANS)
        # In AquaMind's own database others write to our batches, too, and the journal does not tell.
        ours = journal.kind(connection, url) == journal.OWN
        summed = sums.read(connection, since if ours else None, kept)
        sections = [
            _batches(connection, farm, plan),
            _volumes(farm, plan, counts, since),
            _growth(connection, farm, summed),
            _one_batch(connection),
            _utilisation(connection, farm, summed),
        ]
        shown = series.read(connection, farm, plan, months, summed)
    return Report(held["description"][0], described(url), farm.as_of.isoformat(), sections), shown


_PLAIN_PLANS = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL work_mem = '64MB'"
"""A million groups from parallel workers with too little memory took a quarter of an hour instead of a second."""


def _batches(connection: Connection, farm: Profile, plan: Plan) -> Section:
    found = frame(
        connection,
        """SELECT split_part(b.batch_number, '-', 1) AS geography, s.name AS stage, s."order", b.status,
          count(*) AS batches
        FROM batch_batch b JOIN batch_lifecyclestage s ON s.id = b.lifecycle_stage_id
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 3""",
    )

    def number(where: pl.Expr) -> int:
        return int(found.filter(where)["batches"].sum())

    status, geography = pl.col("status"), pl.col("geography")
    total, completed = number(pl.lit(True)), number(status == "COMPLETED")
    rows = [
        ["total", total],
        ["completed", completed],
        ["active", number(status == "ACTIVE")],
    ]
    rows += [
        [f"geography {name}", number(geography == name)] for name in found["geography"].unique(maintain_order=True)
    ]
    rows += [
        [f"active in {stage.name}", number((status == "ACTIVE") & (pl.col("stage") == stage.name))] for stage in STAGES
    ]
    done = int((plan.batches["harvest_date"] <= farm.as_of).sum())
    checks = [
        Check("batches", total == plan.batches.height, f"{total} batches, {plan.batches.height} planned"),
        Check("completed", completed == done, f"{completed} completed, {done} planned"),
    ]
    for name, count in (("batches", total), ("completed", completed)):
        checks += _band(farm, name, count)
    return Section("Batches", ["what", "batches"], rows, checks)


def _volumes(farm: Profile, plan: Plan, counts: dict[str, int], since: str | None) -> Section:
    expected = total_volume(farm, plan)
    rows = [[name, counts[name], expected.get(name)] for name in tables.TABLES if counts[name] or name in expected]
    wrong = [name for name, rows_expected in expected.items() if counts[name] != rows_expected]
    checks = [
        Check(
            "volumes",
            not wrong,
            f"{len(expected)} tables hold exactly what the plan predicts"
            + (f"; months before {since} as counted when they were loaded" if since else "")
            if not wrong
            else "other than planned: " + ", ".join(f"{n} {counts[n]:,} for {expected[n]:,}" for n in wrong),
        )
    ]
    for name in ("environmental_environmentalreading", "inventory_feedingevent", "batch_growthsample"):
        checks += _band(farm, name, counts[name])
    rows.append(["all tables", sum(counts.values()), None])
    return Section("Event volume", ["table", "rows", "by formula"], rows, checks)


def _band(farm: Profile, name: str, count: int) -> list[Check]:
    band = getattr(farm.bands, name)
    if band is None or farm.as_of != farm.default_as_of:
        return []
    return [Check(f"band of {name}", band[0] <= count <= band[1], f"{count:,} in {band[0]:,} … {band[1]:,}")]


def _growth(connection: Connection, farm: Profile, summed: Sums) -> Section:
    """Fish on the first day after the egg stage (day 91), and over every transition."""
    eggs_end = farm.stage_days(STAGES[0].days)
    batches = frame(
        connection,
        """SELECT b.batch_number, b.id AS batch_id, b.start_date, c.total_eggs_received AS eggs,
          sum(a.mortality_during_transfer)::bigint AS dead_in_transfer
        FROM batch_batch b JOIN batch_creationworkflow c ON c.batch_id = b.id
          LEFT JOIN batch_batchtransferworkflow t ON t.batch_id = b.id
          LEFT JOIN batch_transferaction a
            ON a.workflow_id = t.id AND a.actual_execution_date <= b.start_date + %(eggs_end)s::int
        GROUP BY b.id, b.batch_number, b.start_date, c.total_eggs_received ORDER BY b.batch_number""",
        {"eggs_end": eggs_end},
    )
    dead = (
        summed.dead.join(batches.select("batch_id", "start_date"), on="batch_id")
        .filter(pl.col("date") <= pl.col("start_date").dt.offset_by(f"{eggs_end}d"))
        .group_by("batch_id")
        .agg(pl.col("dead").sum())
    )
    lives = _transitions(summed.days, eggs_end + 1)
    found = (
        batches.join(dead, on="batch_id", how="left", maintain_order="left")
        .join(lives, on="batch_id", how="left", maintain_order="left")
        .with_columns(pl.col("transitions", "risen").fill_null(0))
    )
    rate = (1 - STAGES[0].daily_mortality * farm.speed) ** eggs_end * (1 - TRANSFER_MORTALITY)
    tested = found.filter(pl.col("fish_after_eggs").is_not_null()).with_columns(
        by_books=pl.col("eggs") - pl.col("dead") - pl.col("dead_in_transfer").fill_null(0),
        by_rate=pl.col("eggs") * rate,
    )
    lost = tested.filter(pl.col("by_books") != pl.col("fish_after_eggs"))
    odd = tested.filter((pl.col("fish_after_eggs") / pl.col("by_rate") - 1).abs() > SURVIVAL_TOLERANCE)
    risen = found.filter(pl.col("risen") > 0)
    day = f"day {eggs_end + 1}"
    checks = [
        Check(
            "states",
            found["weight_g"].null_count() == 0,
            f"{found.height} batches have daily states{_as_found(summed)}",
        ),
        Check(
            f"{day} by the books",
            lost.is_empty(),
            f"{tested.height} batches: population on {day} = eggs - dead"
            if lost.is_empty()
            else f"wrong in {_names(lost)}",
        ),
        Check(
            f"{day} by survival",
            odd.is_empty(),
            f"within {SURVIVAL_TOLERANCE:.0%} of eggs x {rate:.4f}" if odd.is_empty() else f"outside in {_names(odd)}",
        ),
        Check(
            "no doubling",
            risen.is_empty(),
            f"{found['transitions'].sum()} transitions, population never rises"
            if risen.is_empty()
            else f"population rises in {_names(risen)}",
        ),
    ]
    rows = found.select(
        "batch_number",
        "eggs",
        "fish_after_eggs",
        (pl.col("fish_after_eggs") / pl.col("eggs")).alias("survival"),
        "transitions",
        "largest_ratio",
        pl.col("weight_g").round(1),
    ).rows()
    columns = ["batch", "eggs", f"fish on {day}", "survival", "transitions", "largest change", "weight now (g)"]
    return Section("Growth", columns, [list(row) for row in rows], checks)


def _transitions(days: pl.DataFrame, day_number: int) -> pl.DataFrame:
    """batch_id, fish_after_eggs (on that day), transitions, largest_ratio (of fish over a transition), risen (days on
    which a batch has more fish than on the day before), weight_g (now).
    """
    daily = (
        days.group_by("batch_id", "date", maintain_order=True)
        .agg(pl.col("day_number").min(), pl.col("stage").max(), pl.col("fish", "mass_g").sum())
        .with_columns(weight_g=weight_g())
        .with_columns(pl.col("fish", "stage").shift(1).over("batch_id").name.suffix("_before"))
    )
    fish, before, moved = pl.col("fish"), pl.col("fish_before"), pl.col("stage") != pl.col("stage_before")
    return daily.group_by("batch_id").agg(
        fish_after_eggs=fish.filter(pl.col("day_number") == day_number).max(),
        transitions=moved.sum(),
        largest_ratio=(fish / before).filter(moved & (before > 0)).max(),
        risen=(fish > before).sum(),
        weight_g=pl.col("weight_g").last(),
    )


def _names(batches: pl.DataFrame) -> str:
    return ", ".join(batches["batch_number"].head(5)) + (" …" if batches.height > 5 else "")


def _one_batch(connection: Connection) -> Section:
    """The oldest batch, stage by stage."""
    chosen = frame(
        connection, "SELECT id, batch_number, status, start_date FROM batch_batch ORDER BY start_date, id LIMIT 1"
    )
    if chosen.is_empty():
        return Section("One batch", ["stage"], [], [Check("one batch", False, "there is no batch")])
    batch = chosen.row(0, named=True)
    stages = frame(
        connection,
        """WITH daily AS (
            SELECT lifecycle_stage_id AS stage, date, sum(population) AS fish, sum(biomass_kg) AS biomass_kg,
              sum(mortality_count) AS dead, sum(feed_kg) AS feed_kg, count(*) AS containers,
              sum(avg_weight_g * population) / nullif(sum(population), 0) AS weight_g
            FROM batch_actualdailyassignmentstate WHERE batch_id = %(id)s GROUP BY 1, 2
        )
        SELECT s.name, count(*) AS days, max(containers)::int AS containers,
          (array_agg(fish ORDER BY date))[1]::bigint AS first,
          (array_agg(fish ORDER BY date DESC))[1]::bigint AS last, sum(dead)::bigint AS dead,
          (array_agg(weight_g ORDER BY date DESC))[1]::float8 AS weight_g, sum(feed_kg)::float8 AS feed_kg,
          (array_agg(biomass_kg ORDER BY date DESC))[1]::float8 AS biomass_kg
        FROM daily d JOIN batch_lifecyclestage s ON s.id = d.stage GROUP BY s.name, s."order" ORDER BY s."order" """,
        {"id": batch["id"]},
    )
    harvest = frame(
        connection,
        """SELECT count(DISTINCT e.id) AS rings, coalesce(sum(l.unit_count), 0)::bigint AS fish,
          coalesce(sum(l.live_weight_kg), 0)::float8 AS kg
        FROM harvest_harvestevent e JOIN harvest_harvestlot l ON l.event_id = e.id WHERE e.batch_id = %(id)s""",
        {"id": batch["id"]},
    ).row(0, named=True)
    alive = int(stages["last"][-1]) if stages.height else 0
    complete = batch["status"] == "COMPLETED"
    detail = f"{batch['batch_number']}, {batch['status'].lower()}, begun {batch['start_date']}"
    checks = [Check("one batch", stages.height > 0, detail)]
    if complete:
        checks.append(
            Check(
                "harvest",
                harvest["fish"] == alive,
                f"{harvest['fish']:,} fish ({harvest['kg'] / 1000:,.0f} t) harvested from {harvest['rings']} rings, "
                f"{alive:,} were left",
            )
        )
    columns = [
        "stage",
        "days",
        "containers",
        "fish at first",
        "fish at last",
        "dead",
        "weight at last (g)",
        "feed (kg)",
        "biomass at last (kg)",
    ]
    rounded = stages.with_columns(pl.col("weight_g", "feed_kg", "biomass_kg").round(1))
    return Section(f"One batch: {batch['batch_number']}", columns, [list(row) for row in rounded.rows()], checks)


def _utilisation(connection: Connection, farm: Profile, summed: Sums) -> Section:
    """All three notions that AquaMind's documents mix (reference c.3), against what was planned."""
    found = frame(
        connection,
        """SELECT (SELECT count(*) FROM infrastructure_hall) AS halls,
          (SELECT count(DISTINCT container_id) FROM batch_batchcontainerassignment WHERE is_active) AS now""",
    ).row(0, named=True)
    holding = sql.SQL("SELECT id, hall_id FROM infrastructure_container WHERE hierarchy_role = 'HOLDING' AND active")
    halls = large_frame(connection, holding, pl.Schema({"id": pl.Int64, "hall_id": pl.Int64}))
    used = summed.use["container_id"].unique()
    first, last = summed.days.select(pl.col("date").min().alias("first"), pl.col("date").max().alias("last")).row(0)
    found |= {
        "ever": used.len(),
        "halls_used": halls.filter(pl.col("id").is_in(used.to_list()))["hall_id"].drop_nulls().n_unique(),
        "used_days": int(summed.use["days"].sum()),
        "span_days": (last - first).days + 1 if first else 0,
    }
    containers, span = halls.height, found["span_days"]
    rows = [
        [
            "containers with fish now, of all that can hold fish",
            found["now"],
            containers,
            _share(found["now"], containers),
        ],
        ["containers ever used", found["ever"], containers, _share(found["ever"], containers)],
        ["container-days used", found["used_days"], containers * span, _share(found["used_days"], containers * span)],
        ["halls ever used", found["halls_used"], found["halls"], _share(found["halls_used"], found["halls"])],
    ]
    plan = preview(farm)
    planned = (plan.containers_now, plan.containers_ever, plan.rows[tables.STATE_TABLE], plan.containers)
    held = (found["now"], found["ever"], found["used_days"], containers)
    detail = (
        f"{_share(found['now'], containers):.1%} of containers hold fish now, as planned{_as_found(summed)}"
        if held == planned
        else f"containers now, ever, container-days, containers in all: {held}, planned {planned}"
    )
    check = Check("utilisation", held == planned, detail)
    return Section("Container utilisation", ["what", "used", "of", "share"], rows, [check])


def _as_found(summed: Sums) -> str:
    return f"; days before {summed.since} as an earlier report found them" if summed.since else ""


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def as_rich(report: Report, *, longest: int = 60) -> RenderableType:
    """The report for a terminal; sections of more than `longest` rows are cut there (the JSON has all)."""
    parts: list[RenderableType] = [Text(f"{report.farm}, up to {report.as_of}, in {report.database}", style="bold")]
    for number, section in enumerate(report.sections, 1):
        shown = Table(title=f"{number}. {section.title}", title_justify="left", title_style="bold")
        for position, column in enumerate(section.columns):
            shown.add_column(column, justify="left" if position == 0 else "right")
        for row in section.rows[:longest]:
            shown.add_row(*(cell(value) for value in row))
        parts.append(shown)
        if len(section.rows) > longest:
            parts.append(Text(f"… and {len(section.rows) - longest} more in the JSON file"))
        for check in section.checks:
            mark = Text("PASS ", style="green") if check.passed else Text("FAIL ", style="bold red")
            parts.append(mark + Text(f"{check.name}: {check.detail}", style="default"))
    failed = sum(not check.passed for check in report.checks)
    verdict = (
        f"{len(report.checks)} checks, all passed" if not failed else f"{failed} of {len(report.checks)} checks failed"
    )
    parts.append(Text(verdict, style="bold green" if not failed else "bold red"))
    return Group(*parts)


def as_markdown(report: Report) -> str:
    """The verdicts as a Markdown table."""
    lines = ["| section | check | passed | detail |", "|---|---|---|---|"]
    lines += [
        f"| {section.title} | {check.name} | {'yes' if check.passed else '**no**'} | {check.detail} |"
        for section in report.sections
        for check in section.checks
    ]
    return "\n".join(lines)


def show(report: Report, console: Console) -> None:
    """Print the report."""
    console.print(as_rich(report))


def cell(value: Any) -> str:
    """A value for people."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
        case _:
            return str(value)


def report_path(settings: Settings) -> Path:
    """Where the farm's last report is kept."""
    return settings.reports_path / f"{settings.farm_name}.json"


def page_path(settings: Settings) -> Path:
    """Where the farm's last report is kept as a page."""
    return report_path(settings).with_suffix(".html")


def sums_path(settings: Settings) -> Path:
    """Where the farm's last report keeps its sums for the next."""
    return settings.reports_path / settings.farm_name / "sums"


def save(report: Report, path: Path) -> None:
    """Write the report as JSON, atomically.

    Raises:
        LakeError: when the folder cannot be written.
    """
    content = asdict(report) | {"passed": report.passed}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({error.strerror})") from None


def load_saved(path: Path) -> Report:
    """The report of `save`.

    Raises:
        LakeError: when there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise LakeError(f"there is no report in {path}: run `aquamind verify`") from None
    sections = [Section(**(s | {"checks": [Check(**c) for c in s["checks"]]})) for s in content["sections"]]
    return Report(content["farm"], content["database"], content["as_of"], sections)


__all__ = [
    "Check",
    "Report",
    "Section",
    "as_markdown",
    "as_rich",
    "cell",
    "load_saved",
    "page_path",
    "report_path",
    "save",
    "show",
    "sums_path",
    "verify",
]
