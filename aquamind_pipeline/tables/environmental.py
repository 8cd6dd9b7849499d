"""AquaMind's environmental app: parameters and readings."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.tables.columns import (
    EMPTY,
    FALSE,
    INSTALLED,
    NULL,
    bigint,
    boolean,
    brin,
    identity,
    index,
    metadata,
    numeric,
    refers,
    text,
    timestamp,
    varchar,
)

environmental_environmentalparameter = sa.Table(
    "environmental_environmentalparameter",
    metadata,
    identity("id"),
    varchar("name", 100),
    varchar("unit", 20),
    text("description", fill=EMPTY),
    numeric("min_value", 10, 2, nullable=True),
    numeric("max_value", 10, 2, nullable=True),
    numeric("optimal_min", 10, 2, nullable=True),
    numeric("optimal_max", 10, 2, nullable=True),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    info={"layer": "reference", "natural_key": ("name",)},
    comment="What sensors measure, with unit and limits.",
)

environmental_environmentalreading = sa.Table(
    "environmental_environmentalreading",
    metadata,
    identity("id"),
    refers("parameter_id", "environmental_environmentalparameter.id"),
    refers("container_id", "infrastructure_container.id", nullable=True),
    refers("batch_id", "batch_batch.id", nullable=True),
    refers("sensor_id", "infrastructure_sensor.id", nullable=True),
    bigint("batch_container_assignment_id", references="batch_batchcontainerassignment.id", nullable=True),
    numeric("value", 10, 4),
    timestamp("reading_time", primary_key=True),
    boolean("is_manual", fill=FALSE),
    refers("recorded_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=NULL),
    text("notes", fill=EMPTY),
    timestamp("created_at", fill=pl.col("reading_time")),
    index("container_id", "reading_time"),
    brin("reading_time"),
    info={"layer": "event", "partition_by": "reading_time"},
    comment="Value of one parameter in one container at one time.",
)
