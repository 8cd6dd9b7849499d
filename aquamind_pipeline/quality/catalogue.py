"""Every rule by name: what it says, whether breaking it stops the load, and why."""

from __future__ import annotations

from dataclasses import dataclass

from aquamind_pipeline import tables

READINGS, FEEDINGS = "environmental_environmentalreading", "inventory_feedingevent"
SAMPLES, DEATHS, STATES = "batch_growthsample", "batch_mortalityevent", tables.STATE_TABLE


@dataclass(frozen=True)
class Rule:
    """What a check says, and whether its failure blocks what comes after (else it warns); `why` gives the reason."""

    text: str
    why: str
    blocks: bool = True


_KEYS = "AquaMind's constraints would refuse the rows, or its joins would double them."
_WRONG = "Screens and models would show what never was."
_REALISM = "Rows are consistent; only their realism is in doubt, which a person should judge."
RULES: dict[str, Rule] = {
    "schema": Rule("Columns have the catalogue's names, order and types.", "Nothing else can be read otherwise."),
    "keys": Rule("Primary key and unique constraints are unique and not null.", _KEYS),
    "values": Rule("No null and no value outside the range that the catalogue declares.", _KEYS),
    "foreign_keys": Rule("Every reference to another table resolves.", _KEYS),
    "volume": Rule("Exactly as many rows as the plan predicts by formula, or as life had events.", _WRONG),
    "expectations": Rule("Great Expectations: the table's suite, row by row or on its monthly profile.", _KEYS),
    "in_month": Rule("Every row of a month's file happened in that month.", "Reloading a month would miss it."),
    "of_its_stay": Rule("Batch, container, stage and day of a row are those of the stay it refers to.", _WRONG),
    "gaps": Rule("Every stay has on each of its days the rows it should have, at the hours it should.", _WRONG),
    "fresh": Rule("The table reaches to the farm's last day.", "A stale farm looks like a dead one."),
    "plausible": Rule("Readings lie within their parameter's limits, weights within their stage's.", _WRONG),
    "stuck": Rule("No sensor repeats one value for days.", _WRONG),
    "agreement": Rule("Temperature sensors of a site agree to 1 °C.", _WRONG),
    "oxygen": Rule("Oxygen fits temperature and salinity: 70 to 120 % of saturation.", _WRONG),
    "feed_stock": Rule("No store ever gave out more feed than it had.", _WRONG),
    "no_doubling": Rule("No batch has more fish than the day before, at any transition (Issue #112).", _WRONG),
    "ledger": Rule("Eggs = alive + dead for every batch and day, to the fish.", _WRONG),
    "harvested": Rule("The fish in a ring's lots are the fish alive on its last day.", _WRONG),
    "double_booking": Rule("A container holds one batch at a time.", _WRONG),
    "capacity": Rule("No container holds more than its max_biomass_kg.", _WRONG),
    "one_site": Rule("One hall for each freshwater stage, one sea area, one geography for each batch.", _WRONG),
    "weight_continuity": Rule("Weight moves no further in a day than growth and sampling allow.", _WRONG),
    "recovers_life": Rule("States found from records alone have the fish that lived, and weights near theirs.", _WRONG),
    "survival": Rule("In each stage of a batch as many fish die as its rate, handling and outbreaks give.", _WRONG),
    "feed_conversion": Rule("Feed per growth over a stage lies in the published range.", _REALISM, blocks=False),
    "growth_rate": Rule("TGC over a stage lies in the published range.", _REALISM, blocks=False),
    "bands": Rule(
        "The farm's volumes lie in the profile's bands (on the profile's own day).", "It is what was ordered."
    ),
    "arrived": Rule("The database counts exactly the lake's rows, table by table.", "The load is not finished."),
    "content": Rule("Every column adds up to the same in lake and database.", "A value changed on its way."),
    "verified": Rule("Every check of the verification report passed.", "The report is what people are shown."),
}
COMMON = ("schema", "keys", "values", "foreign_keys", "volume", "expectations")
"""Rules of every table, but for `volume` of those whose rows nothing foretells."""
UNFORETOLD = ("inventory_feedpurchase", "inventory_feedcontainerstock")
"""Deliveries come when a store is empty: `feed_stock` holds them against what was eaten."""
OF_TABLE: dict[str, tuple[str, ...]] = {
    READINGS: ("in_month", "of_its_stay", "gaps", "fresh", "plausible", "stuck", "agreement", "oxygen"),
    FEEDINGS: ("in_month", "of_its_stay", "gaps", "fresh"),
    SAMPLES: ("in_month", "of_its_stay", "fresh", "plausible"),
    DEATHS: ("in_month", "of_its_stay", "fresh"),
    STATES: ("in_month", "of_its_stay", "gaps", "fresh", "plausible"),
}
"""Further rules, month by month."""
OF_STORES = ("feed_stock",)
OF_FARM = (
    "no_doubling",
    "ledger",
    "harvested",
    "double_booking",
    "capacity",
    "one_site",
    "weight_continuity",
    "survival",
    "feed_conversion",
    "growth_rate",
    "bands",
)


def rules_of(table: str) -> tuple[str, ...]:
    """Names of the rules that a table's own rows are held to."""
    common = tuple(rule for rule in COMMON if rule != "volume" or table not in UNFORETOLD)
    return common + OF_TABLE.get(table, ())


__all__ = ["COMMON", "OF_FARM", "OF_STORES", "OF_TABLE", "RULES", "UNFORETOLD", "Rule", "rules_of"]
