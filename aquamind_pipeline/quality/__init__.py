"""What must be true of a farm's data: pure functions from frames to check results. No Dagster, no files."""
