"""Speed as ratios to a floor measured in the same run: what any solution must pay."""
