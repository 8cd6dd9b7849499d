"""The user who owns what the pipeline writes."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.schema.columns import (
    EMPTY,
    FALSE,
    INSTALLED,
    NULL,
    TRUE,
    boolean,
    identity,
    refers,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.kinds import Kind

OWNER_USER_ID = 1

USERS = TableDefinition(
    name="auth_user",
    kind=Kind.REFERENCE,
    meaning="User of AquaMind. One owns everything that the pipeline writes; nobody can log in as it.",
    how="One user of the pipeline.",
    columns=(
        identity("id", sa.Integer),
        varchar("password", 128, fill=pl.lit("!")),
        timestamp("last_login", nullable=True, fill=NULL),
        boolean("is_superuser", fill=FALSE),
        varchar("username", 150),
        varchar("first_name", 150, fill=EMPTY),
        varchar("last_name", 150, fill=EMPTY),
        varchar("email", 254, fill=EMPTY),
        boolean("is_staff", fill=FALSE),
        boolean("is_active", fill=TRUE),
        timestamp("date_joined", fill=INSTALLED),
        unique("username"),
    ),
    natural_key=("username",),
    reads=(),
    generate=lambda inputs: pl.DataFrame({"id": [OWNER_USER_ID], "username": ["aquamind-pipeline"]}),
    expected=ByFormula(lambda farm, plan: 1),
    lineage={},
    rules=(),
)

PROFILES = TableDefinition(
    name="users_userprofile",
    kind=Kind.REFERENCE,
    meaning="Profile of a user; AquaMind needs one for each.",
    how="One profile for the pipeline's user.",
    columns=(
        identity("id"),
        refers("user_id", "auth_user.id", type_=sa.Integer),
        varchar("full_name", 150),
        varchar("phone", 20, nullable=True, fill=NULL),
        varchar("profile_picture", 100, nullable=True, fill=NULL),
        varchar("job_title", 100, nullable=True, fill=NULL),
        varchar("department", 100, nullable=True, fill=NULL),
        varchar("geography", 3, fill=pl.lit("ALL")),
        varchar("subsidiary", 3, fill=pl.lit("ALL")),
        varchar("role", 20, fill=pl.lit("VIEW")),
        varchar("language_preference", 5, fill=pl.lit("en")),
        varchar("date_format_preference", 10, fill=pl.lit("DMY")),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("user_id"),
    ),
    natural_key=("user_id",),
    reads=(),
    generate=lambda inputs: pl.DataFrame({"id": [1], "user_id": [OWNER_USER_ID], "full_name": ["AquaMind Pipeline"]}),
    expected=ByFormula(lambda farm, plan: 1),
    lineage={},
    rules=(),
)
