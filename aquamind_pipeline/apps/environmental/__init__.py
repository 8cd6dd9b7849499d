"""AquaMind's environmental app."""
