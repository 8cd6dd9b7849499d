"""What assets, checks and definitions share with each other: the workspace, partitions, groups, metadata."""
