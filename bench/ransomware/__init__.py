"""How many encrypted files are found by comparison with the version before, and how many edits are taken for such."""
