"""The Parquet lake: its layout and manifest, the places it can lie in, and views over it for SQL."""

from aquamind_pipeline.lake.lake import LABELS, PARTS, ROW_GROUP_ROWS, Lake, Manifest, Written

__all__ = ["LABELS", "PARTS", "ROW_GROUP_ROWS", "Lake", "Manifest", "Written"]
