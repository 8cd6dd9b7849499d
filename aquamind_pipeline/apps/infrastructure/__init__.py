"""AquaMind's infrastructure app."""
