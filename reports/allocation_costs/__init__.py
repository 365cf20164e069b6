"""What partners cost through allocations to their payees, per day: of each ledger row the best evidence, once.

Items of a locked run; else those of the newest run that is calculated and not stale; else what the rules of now would
allocate. One refresh works out what changed and publishes it at one moment.
"""

from reports.allocation_costs.refreshing import Refreshed, refresh, refresh_all

__all__ = ["Refreshed", "refresh", "refresh_all"]
