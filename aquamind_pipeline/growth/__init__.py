"""Growth assimilation: daily states of every assignment, computed from what a farm records.

All modules are pure functions of frames. `records` holds what is read, `record_schema` declares its columns and
`validation` checks them. `rules` says which behaviour is wanted. `record_grid` lays the records out by assignment and
day, `closed_form_solver` or `daily_solver` computes the states, `assimilation` puts the parts together.
"""
