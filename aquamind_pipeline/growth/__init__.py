"""Growth assimilation: daily states of every assignment, found again from what a farm records.

Pure functions of frames. `records` says what is read, `rules` which behaviour is wanted, `assimilation` puts the parts
together: `grid` (which days), `temperature`, `ledger` (fish), `weights`.
"""
