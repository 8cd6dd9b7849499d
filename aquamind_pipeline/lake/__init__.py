"""The Parquet lake: its layout and manifest, the stores that keep its files, and DuckDB views over it."""

from aquamind_pipeline.lake.lake import LABELS, PARTS, ROW_GROUP_ROWS, Lake, Written, open_lake
from aquamind_pipeline.lake.manifest import Manifest, anchor_in

__all__ = ["LABELS", "PARTS", "ROW_GROUP_ROWS", "Lake", "Manifest", "Written", "anchor_in", "open_lake"]
