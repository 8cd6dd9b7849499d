"""AquaMind's users app."""
