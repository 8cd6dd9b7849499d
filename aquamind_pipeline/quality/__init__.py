"""What must be true of a farm's data, as pure functions from frames to findings. No Dagster, no files."""
