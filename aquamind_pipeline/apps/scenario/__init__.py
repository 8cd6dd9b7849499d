"""AquaMind's scenario app."""
