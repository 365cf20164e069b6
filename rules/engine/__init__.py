"""How ledger rows become amounts: pure calculation, no database. Begin with evaluation.py.

evaluation.py   a row, its winner, what each payee gets; the sums that must hold
matching.py     which rows a rule version matches, and who wins among several
conditions.py   comparing one metadata value
allocation.py   the arithmetic of flat allocations
index.py        the same winners without testing every rule on every row
conflicts.py    rules of equal priority that can match the same row
explanation.py  every rule's fate for one row, in words that can be shown
digest.py       the fingerprint of a run's inputs and items
inputs.py       rows and rule versions as plain values
"""
