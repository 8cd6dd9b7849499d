"""Reference rows of the health app: kinds of lice, reasons of death, samples, vaccines, and what fish are scored for.

AquaMind's migrations insert the kinds of lice, the parameters and the reason `UNKNOWN`. A load finds these rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aquamind_pipeline.schema.columns import (
    EMPTY,
    INSTALLED,
    TRUE,
    boolean,
    identity,
    integer,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.deaths import REASONS

SALMON_LOUSE, CALIGUS = "Lepeophtheirus salmonis", "Caligus elongatus"
LICE: tuple[tuple[str, str, str], ...] = (
    *(
        (SALMON_LOUSE, sex, stage)
        for stage in ("copepodid", "chalimus", "pre-adult", "adult")
        for sex in ("male", "female")
    ),
    *((CALIGUS, sex, stage) for stage in ("juvenile", "adult") for sex in ("male", "female")),
    ("Unknown", "female", "adult"),
    ("Unknown", "male", "adult"),
    ("Unknown", "unknown", "juvenile"),
)
"""Species, sex and stage of each kind of lice, in the order of AquaMind's migration. Ids count from 1."""
LICE_TYPE = {kind: number for number, kind in enumerate(LICE, start=1)}
"""Id of each kind of lice."""

LICE_TYPES = TableDefinition(
    name="health_licetype",
    part="catalogue",
    kind=Kind.REFERENCE,
    meaning="Kind of lice: species, sex and stage.",
    how="The 15 kinds that AquaMind's migration inserts.",
    columns=(
        identity("id"),
        varchar("species", 100, comment="Scientific name of the species, or Unknown"),
        varchar("gender", 20, comment="Sex: male, female or unknown"),
        varchar("development_stage", 50, comment="Stage of development"),
        text("description", fill=EMPTY),
        boolean("is_active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("species", "gender", "development_stage"),
    ),
    natural_key=("species", "gender", "development_stage"),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        LICE, schema=["species", "gender", "development_stage"], orient="row"
    ).with_row_index("id", 1),
    expected=ByFormula(lambda farm, plan: len(LICE)),
    lineage={},
    rules=(),
)


@dataclass(frozen=True)
class _Group:
    """A group of reasons of death.

    Attributes:
        name: Its name.
        text: What belongs to it.
        causes: Causes of `batch_mortalityevent` that its reasons have.
    """

    name: str
    text: str
    causes: tuple[str, ...]


UNKNOWN_REASON = "UNKNOWN"
_GROUPS = (
    _Group(UNKNOWN_REASON, "Nobody knows why the fish died.", ("UNKNOWN",)),
    _Group("Infectious", "Bacteria, viruses, parasites and fungus.", ("DISEASE",)),
    _Group("Injury", "Wounds by people, machines and predators.", ("HANDLING", "PREDATION")),
    _Group("Physiological", "The fish were not fit to live.", ("OTHER",)),
    _Group("Environment", "Water and weather.", ("ENVIRONMENTAL",)),
    _Group("Culled", "Fish that people sorted out and killed.", ()),
)
_LEAVES: dict[str, tuple[str, str]] = {
    "runt or deformity": ("Runt or deformity", "Fish that did not grow or were deformed."),
    "predator": ("Predator", "Bitten or stressed by seals or birds."),
    "environment": ("Temperature or oxygen", "Short spells of bad temperature or low oxygen."),
    "handling": ("Handling", "Moved, pumped or graded in the days before."),
    "treatment": ("Treatment", "Deloused, bathed or vaccinated in the days before."),
    "failed hatching": ("Failed hatching", "Eggs and alevins that did not hatch or develop."),
    "failed smolt": ("Failed smolt", "Fish that did not cope with salt water."),
    "gill disease": ("Gill disease", "Gills damaged by amoebae, bacteria or viruses."),
    "cardiomyopathy syndrome": ("CMS", "Cardiomyopathy syndrome (piscine myocarditis virus)."),
    "heart and skeletal muscle inflammation": (
        "HSMI",
        "Heart and skeletal muscle inflammation (piscine orthoreovirus).",
    ),
    "pancreas disease": ("PD", "Pancreas disease (salmonid alphavirus)."),
    "winter ulcer": ("Winter ulcer", "Ulcers by Moritella viscosa in cold water."),
    "algae or jellyfish": ("Algae or jellyfish", "Harmful algae or jellyfish in the water."),
    "storm": ("Storm", "Hurt in the net in heavy weather."),
    "fungus": ("Fungus", "Saprolegnia on skin, gills or eggs."),
    "gas or water quality": ("Gas or water quality", "Gas supersaturation, or bad water of the station."),
    "unspecified illness": ("Unspecified illness", "Signs of infection without a diagnosis."),
}
"""By reason of `simulation.deaths.REASONS`: name and description of the leaf. `unknown` has AquaMind's own row."""
_PARENT = {cause: number for number, group in enumerate(_GROUPS, start=1) for cause in group.causes}

REASON_ID: tuple[int, ...] = tuple(1 if name == "unknown" else len(_GROUPS) + n for n, (name, _) in enumerate(REASONS))
"""Row of health_mortalityreason for each reason of `simulation.deaths.REASONS`."""


def mortality_reasons() -> pl.DataFrame:
    """Rows of health_mortalityreason: the groups, and below them a leaf for each reason of death."""
    groups = [(number, group.name, group.text, None) for number, group in enumerate(_GROUPS, start=1)]
    leaves = [
        (REASON_ID[number], *_LEAVES[name], _PARENT[cause])
        for number, (name, cause) in enumerate(REASONS)
        if name in _LEAVES
    ]
    return pl.DataFrame([*groups, *leaves], schema=["id", "name", "description", "parent_id"], orient="row")


MORTALITY_REASONS = TableDefinition(
    name="health_mortalityreason",
    part="catalogue",
    kind=Kind.REFERENCE,
    meaning="Reason of death, or a group of reasons.",
    how="Six groups, and a reason for everything that fish die of in the simulation.",
    columns=(
        identity("id"),
        varchar("name", 100),
        text("description", comment="What belongs to the reason"),
        refers("parent_id", "health_mortalityreason.id", nullable=True),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: mortality_reasons(),
    expected=ByFormula(lambda farm, plan: len(_GROUPS) + len(_LEAVES)),
    lineage={},
    rules=(),
)

SAMPLES = (
    ("Blood", "Plasma for salts, glucose and enzymes."),
    ("Tissue", "Organs in formalin for histology."),
    ("Water", "Water of the container."),
    ("Feed", "Feed from the store."),
    ("Fecal", "Faeces from the gut."),
    ("Gill swab", "Swab of the gills for PCR."),
    ("Heart", "Heart for PCR."),
    ("Kidney", "Head kidney for PCR."),
)
"""Name and description of each kind of sample that is sent to a laboratory. Ids count from 1."""
SAMPLE_TYPE = {name: number for number, (name, _) in enumerate(SAMPLES, start=1)}
"""Id of each kind of sample."""

SAMPLE_TYPES = TableDefinition(
    name="health_sampletype",
    part="catalogue",
    kind=Kind.REFERENCE,
    meaning="Kind of sample that is sent to a laboratory.",
    how="The five kinds of AquaMind's own data, and three for PCR.",
    columns=(
        identity("id"),
        varchar("name", 100),
        text("description", comment="What is sampled"),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: pl.DataFrame(SAMPLES, schema=["name", "description"], orient="row").with_row_index("id", 1),
    expected=ByFormula(lambda farm, plan: len(SAMPLES)),
    lineage={},
    rules=(),
)

VACCINES = (
    (
        "Multivalent oil vaccine, 6 components, 0.05 ml",
        "Injected into the abdominal cavity, 0.05 ml a fish",
        "Furunculosis, vibriosis, cold-water vibriosis, winter ulcer and IPN; fish from 25 g; immunity after 520 to "
        "600 degree-days; no withholding.",
    ),
    (
        "Multivalent oil vaccine, 6 components, 0.1 ml",
        "Injected into the abdominal cavity, 0.1 ml a fish",
        "Furunculosis, vibriosis, cold-water vibriosis, winter ulcer and IPN; fish from 30 g; immunity after 500 to "
        "608 degree-days; no withholding.",
    ),
    (
        "Multivalent oil vaccine, 7 components with PD",
        "Injected into the abdominal cavity, 0.1 ml a fish",
        "As the vaccine with 6 components, and pancreas disease; fish from 30 g; no withholding.",
    ),
    (
        "PD vaccine, inactivated",
        "Injected into the abdominal cavity, 0.1 ml a fish",
        "Pancreas disease; fish from 28 g; immunity after 516 degree-days; no withholding.",
    ),
    (
        "PD vaccine, DNA",
        "Injected into the muscle, 0.05 ml a fish",
        "Pancreas disease; fish from 25 g; immunity after 399 degree-days; no withholding.",
    ),
    (
        "Furunculosis vaccine, dip",
        "Dip for 30 s, 1 part in 10 parts of water",
        "Furunculosis; small fish that wait for their injection; no withholding.",
    ),
)
"""Name, dosage and description of each vaccine. Ids count from 1."""

VACCINATION_TYPES = TableDefinition(
    name="health_vaccinationtype",
    part="catalogue",
    kind=Kind.REFERENCE,
    meaning="Vaccine.",
    how="Vaccines as they are used on salmon, without names of makers.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("manufacturer", 100, fill=EMPTY),
        varchar("dosage", 100, comment="How much a fish gets, and where"),
        text("description", comment="Diseases, size of the fish, degree-days until immunity, withholding"),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        VACCINES, schema=["name", "dosage", "description"], orient="row"
    ).with_row_index("id", 1),
    expected=ByFormula(lambda farm, plan: len(VACCINES)),
    lineage={},
    rules=(),
)

SCORES = ("Excellent", "Good", "Fair", "Poor")
"""Label of each score, from 0, the best, to 3."""
SCORED: tuple[tuple[str, str, tuple[str, str, str, str]], ...] = (
    (
        "Gill Condition",
        "Colour and damage of the gills.",
        ("Red, no spots.", "Few pale spots.", "Pale patches on less than half.", "Pale patches on more than half."),
    ),
    (
        "Eye Condition",
        "Clouding, bleeding and loss of eyes.",
        ("Clear.", "Slightly cloudy.", "Cloudy or bleeding.", "Blind or lost."),
    ),
    (
        "Wounds/Lesions",
        "Wounds of the skin.",
        ("None.", "Lost scales.", "A small open wound.", "Large or several open wounds."),
    ),
    (
        "Fin Condition",
        "Wear, splitting and bleeding of fins.",
        ("Whole.", "Slightly worn or split.", "Half worn or bleeding.", "Worn to the base."),
    ),
    (
        "Body Condition",
        "Shape and fat of the body.",
        ("Well filled.", "Slightly slim or deformed.", "Thin or deformed.", "Emaciated or badly deformed."),
    ),
    (
        "Swimming Behavior",
        "How the fish swam before it was caught.",
        ("Calm, in the school.", "Slightly restless.", "Apart from the school.", "At the surface without direction."),
    ),
    (
        "Appetite",
        "Gut content and appetite.",
        ("Full gut.", "Half full.", "Little food.", "Empty gut."),
    ),
    (
        "Mucous Membrane",
        "Mucus on skin and gills.",
        ("Thin and clear.", "Slightly thick.", "Thick or in patches.", "Lost, or thick all over."),
    ),
    (
        "Color/Pigmentation",
        "Colour of the skin.",
        ("Silvery, or as the stage has it.", "Slightly dark.", "Dark or pale in patches.", "Dark all over."),
    ),
)
"""Name and meaning of what is scored, in the order of AquaMind's migration, and what each score means."""
PARAMETER = {name: number for number, (name, _, _) in enumerate(SCORED, start=1)}
"""Id of each parameter."""

PARAMETERS = TableDefinition(
    name="health_healthparameter",
    part="catalogue",
    kind=Kind.REFERENCE,
    meaning="What fish are scored for, such as their gills.",
    how="The nine that AquaMind's migration inserts.",
    columns=(
        identity("id"),
        varchar("name", 100),
        boolean("is_active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        text("description", nullable=True, comment="What is looked at"),
        integer("max_score", fill=pl.lit(len(SCORES) - 1)),
        integer("min_score", fill=pl.lit(0)),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        [(PARAMETER[name], name, meaning) for name, meaning, _ in SCORED],
        schema=["id", "name", "description"],
        orient="row",
    ),
    expected=ByFormula(lambda farm, plan: len(SCORED)),
    lineage={},
    rules=(),
)

SCORE_DEFINITIONS = TableDefinition(
    name="health_parameterscoredefinition",
    part="catalogue",
    kind=Kind.REFERENCE,
    meaning="What a score of a parameter means.",
    how="Four scores for each parameter.",
    columns=(
        identity("id"),
        integer("score_value", range_=(0, len(SCORES) - 1), comment="The score, from 0, the best"),
        varchar("label", 50, comment="The score in a word"),
        text("description", comment="What the fish looks like"),
        integer("display_order", fill=pl.col("score_value")),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        refers("parameter_id", "health_healthparameter.id"),
        unique("parameter_id", "score_value"),
    ),
    natural_key=("parameter_id", "score_value"),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        [
            ((PARAMETER[name] - 1) * len(SCORES) + score + 1, score, SCORES[score], seen, PARAMETER[name])
            for name, _, looks in SCORED
            for score, seen in enumerate(looks)
        ],
        schema=["id", "score_value", "label", "description", "parameter_id"],
        orient="row",
    ),
    expected=ByFormula(lambda farm, plan: len(SCORED) * len(SCORES)),
    lineage={},
    rules=(),
)

__all__ = [
    "LICE",
    "LICE_TYPE",
    "LICE_TYPES",
    "MORTALITY_REASONS",
    "PARAMETER",
    "PARAMETERS",
    "REASON_ID",
    "SAMPLE_TYPE",
    "SAMPLE_TYPES",
    "SCORED",
    "SCORES",
    "SCORE_DEFINITIONS",
    "VACCINATION_TYPES",
]
