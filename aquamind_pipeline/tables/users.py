"""AquaMind's users who own what the pipeline writes."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.tables.columns import (
    EMPTY,
    FALSE,
    INSTALLED,
    NULL,
    TRUE,
    boolean,
    identity,
    metadata,
    refers,
    timestamp,
    unique,
    varchar,
)

auth_user = sa.Table(
    "auth_user",
    metadata,
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
    info={"layer": "reference", "natural_key": ("username",)},
    comment="User of AquaMind. One owns everything that the pipeline writes; nobody can log in as it.",
)

users_userprofile = sa.Table(
    "users_userprofile",
    metadata,
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
    info={"layer": "reference", "natural_key": ("user_id",)},
    comment="Profile of a user; AquaMind needs one for each.",
)
