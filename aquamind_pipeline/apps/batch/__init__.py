"""AquaMind's batch app."""
