"""What Dagster needs beside assets and checks: resources, partitions, run config, retries, metadata, jobs."""
