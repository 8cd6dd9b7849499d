"""AquaMind's inventory app."""
