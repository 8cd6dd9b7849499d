"""AquaMind's health app."""
