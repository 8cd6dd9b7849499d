"""AquaMind's broodstock app."""
