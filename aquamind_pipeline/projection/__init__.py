"""Projections as AquaMind's engines compute them from a scenario: weights, fish and feed of the days to come.

P1 to P16 number the rules of its scenario engine. They are explained in docs/projections.md.
"""
