"""Tables of AquaMind's planning app."""
