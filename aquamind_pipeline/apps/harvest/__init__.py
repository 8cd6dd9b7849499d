"""AquaMind's harvest app."""
