"""AquaMind's own database as a target.

`target` loads and wipes. `fit` compares their tables with ours. `identities` finds or makes the rows of whole tables.
`id_blocks` gives ids to the rows of a month. `indexes` takes indexes off and builds them again.
`wiping` says what a wipe takes out. `heirs` leaves out tables that inherit. `history` and `grants` are about history
tables and the rights of the role that loads.
"""
