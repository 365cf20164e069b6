"""How ledger rows become amounts: pure calculation, no database. Begin with evaluation.py.

evaluation.py   rows in order: winners, items, refunds of sales, exceptions; the sums that must hold
ruleset.py      versions and fallbacks that apply together
matching.py     which rows a rule version matches, and who wins among several
conditions.py   comparing one metadata value
allocation.py   the arithmetic of percentages and fixed amounts
tiers.py        the arithmetic of bands, and what they measure
refunds.py      taking back what a sale allocated
bounds.py       caps, floors, and corrections of volume bands
index.py        the same winners without testing every rule on every row
conflicts.py    rules of equal priority that can match the same row
explanation.py  every rule's fate for one row, in words that can be shown
wording.py      figures and names as text
steps.py        one step of a working, as fields and as a sentence
arithmetic.py   what an allocation did, step by step; tier_arithmetic.py and refund_arithmetic.py of bands and refunds
digest.py       the fingerprint of a run's inputs and items
inputs.py       rows and rule versions as plain values
"""
