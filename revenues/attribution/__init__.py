"""Who has credit for revenue: paths of touchpoints, their credits under five models, and what that moves in figures."""

from revenues.attribution.working import lookback
from revenues.attribution.worklist import (
    catch_up,
    catch_up_all,
    catch_up_for_read,
    catch_up_with_all,
    enqueue_all,
    look_for_all_sales,
)

__all__ = [
    "catch_up",
    "catch_up_all",
    "catch_up_for_read",
    "catch_up_with_all",
    "enqueue_all",
    "look_for_all_sales",
    "lookback",
]
