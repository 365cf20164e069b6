"""Settings of partner intelligence on the workspace's page: what is typed, where it is kept, what follows from it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from alliantra.workspaces.console.display import figures
from alliantra.workspaces.console.forms import ConsoleForm
from alliantra.workspaces.console.theme import NumberInput
from alliantra.workspaces.models import Workspace
from partners.exchange import DEFAULT_AGE_DAYS, LONGEST_AGE_DAYS, longest_age
from reports import allocation_costs
from reports.configured import Number
from reports.health import thresholds
from reports.scoring import weights
from revenues import rollups
from revenues.attribution import enqueue_all, lookback
from revenues.attribution import rollups as credit_rollups
from revenues.attribution.working import SPAN
from revenues.conversions import AT_ONCE, convert_waiting
from revenues.mapping import lock_mapping

LOOKBACK: Final = "attribution_lookback_days"
RATE_DAYS: Final = "fx_rate_days"
LONGEST_LOOKBACK: Final = 365
WEIGHTS: Final[Mapping[str, tuple[str, str]]] = {
    "revenue": ("Revenue", "Net revenue of 90 days, in the base currency."),
    "growth": ("Growth", "Against the 90 days before."),
    "roi": ("ROI", "(revenue − cost) ÷ cost."),
    "consistency": ("Consistency", "How little revenue varies from week to week."),
    "quality": ("Quality", "What part of sales is not refunded."),
    "recency": ("Recency", "How few days ago it brought revenue."),
}
"""Factor of the score → label and what it is."""
THRESHOLDS: Final[Mapping[str, tuple[str, str]]] = {
    "young_days": ("Young for so many days", "A younger partner is active, whatever else is known of it."),
    "inactive_days": ("Inactive after days without revenue", "From so many days on a partner is inactive."),
    "at_risk_probability": (
        "At risk from this probability",
        "That the next 28 days bring less than half of the last 28: 0.35 is 35 %.",
    ),
    "score_fall": ("At risk when the score falls by", "Points of the score, against its highest of the days below."),
    "score_fall_days": ("Days over which the fall is measured", "Before the day that is evaluated."),
    "optimized_score": ("Optimized from this score", "Together with a return above the median of all partners."),
    "optimized_growth": ("Optimized from this growth", "Against the 90 days before: 0.05 is 5 %."),
}
"""Threshold of the health status → label and what it does."""
NUMBERS: Final[Mapping[str, tuple[str, Mapping[str, Number], Mapping[str, tuple[str, str]]]]] = {
    weights.SETTING: ("weight_", weights.FACTORS, WEIGHTS),
    thresholds.SETTING: ("health_", thresholds.KNOWN, THRESHOLDS),
}
"""Key in the settings → how its fields begin, what each number may be, and how it is said."""


def _whole(label: str, help_text: str, *, least: int, most: int, default: int) -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=least,
        max_value=most,
        widget=NumberInput(attrs={"inputmode": "numeric"}),
        help_text=f"{help_text} {least} to {most}; {default} if left empty.",
    )


def _number(known: Number, label: str, help_text: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=False,
        min_value=known.least,
        max_value=known.most,
        max_digits=10,
        decimal_places=0 if known.is_whole else 4,
        widget=NumberInput(attrs={"inputmode": "decimal", "step": "any"}),
        help_text=f"{help_text} {figures(known.default)} if left empty.",
    )


class _DaysForm(ConsoleForm):
    attribution_lookback_days = _whole(
        "Lookback of attribution, in days",
        "A touchpoint counts if it came so many days before the revenue, or fewer. After a change all credits are "
        "worked out anew, which takes a while; amounts of locked runs do not move.",
        least=1,
        most=LONGEST_LOOKBACK,
        default=SPAN,
    )
    fx_rate_days = _whole(
        "An exchange rate counts for days after its own",
        "Where there is no rate of the very day, the nearest before it is taken if it is not older. What was "
        "converted keeps its rate.",
        least=0,
        most=LONGEST_AGE_DAYS,
        default=DEFAULT_AGE_DAYS,
    )


_FIELDS: Final = {
    f"{prefix}{name}": _number(known, *said[name])
    for prefix, numbers, said in NUMBERS.values()
    for name, known in numbers.items()
}
FIELDSETS: Final[tuple[tuple[str, Any], ...]] = (
    ("Attribution and exchange rates", {"fields": (LOOKBACK, RATE_DAYS)}),
    (
        "Weights of the score",
        {
            "fields": tuple(name for name in _FIELDS if name.startswith("weight_")),
            "description": "Only proportions matter: twice the weight counts twice as much. A weight of 0 leaves a "
            "factor out. They count from the next nightly scoring on.",
        },
    ),
    (
        "Health of partners",
        {
            "fields": tuple(name for name in _FIELDS if name.startswith("health_")),
            "description": "A status changes when the evaluations of two days in a row agree on another. These count "
            "from the next nightly evaluation on.",
        },
    ),
)
NAMES: Final = (LOOKBACK, RATE_DAYS, *_FIELDS)


class IntelligenceForm(type(_DaysForm)("_NumbersForm", (_DaysForm,), dict(_FIELDS))):  # type: ignore[misc]
    """Fields of attribution, exchange rates, score and health; an empty one means what is usual."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        workspace: Workspace = self.instance
        self.initial |= {LOOKBACK: lookback(workspace).days, RATE_DAYS: longest_age(workspace)}
        for key, (prefix, known, _) in NUMBERS.items():
            given = workspace.settings.get(key, {})
            for name, number in known.items():
                self.initial[f"{prefix}{name}"] = number.default
                if isinstance(given, Mapping) and isinstance(given.get(name), int | float):
                    self.initial[f"{prefix}{name}"] = Decimal(str(given[name]))

    def clean(self) -> dict[str, Any]:
        """Some weight counts."""
        cleaned: dict[str, Any] = super().clean()
        prefix, known, _ = NUMBERS[weights.SETTING]
        typed = [cleaned.get(f"{prefix}{name}") for name in known]
        if all(value is not None and not value for value in typed):
            message = "At least one weight must be above 0."
            self.add_error(f"{prefix}{next(iter(known))}", ValidationError(message, code="out_of_range"))
        return cleaned

    def settings_changes(self) -> dict[str, Any]:
        """Keys of the workspace's settings that change, with their new values; None: back to what is usual."""
        changed = set(self.changed_data)
        found: dict[str, Any] = {name: self.cleaned_data[name] for name in (LOOKBACK, RATE_DAYS) if name in changed}
        for key, (prefix, known, _) in NUMBERS.items():
            if any(f"{prefix}{name}" in changed for name in known):
                typed = {name: self.cleaned_data.get(f"{prefix}{name}") for name in known}
                found[key] = {name: plain(value) for name, value in typed.items() if value is not None} or None
        return found


def shown(workspace: Workspace) -> dict[str, str]:
    """What the settings are, for members who may not change them."""
    counted = weights.weights_of(workspace.settings)
    limits = thresholds.thresholds_of(workspace.settings).as_evidence()
    return {
        "Lookback of attribution": f"{lookback(workspace).days} days",
        "An exchange rate counts for": f"{longest_age(workspace)} days after its own",
        **{f"Weight of the score: {WEIGHTS[name][0].lower()}": figures(weight) for name, weight in counted.items()},
        **{THRESHOLDS[name][0]: figures(limit) for name, limit in limits.items()},
    }


def plain(value: Decimal) -> int | float:
    """A number as settings keep it: plain JSON, read back by its digits."""
    return int(value) if value == value.to_integral_value() else float(value)


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes; what is usual is not kept. Raises Invalid for numbers that jobs would refuse."""
    kept = {name: value for name, value in {**settings, **changes}.items() if value is not None}
    weights.weights_of(kept)
    thresholds.thresholds_of(kept)
    return kept


def follow_up(before: Workspace, after: Workspace) -> None:
    """Do what a change of these settings, or of the time zone, asks for; `before` is the workspace as it was."""
    if lookback(before) != lookback(after):
        enqueue_all(after)
    if longest_age(before) < longest_age(after):
        convert_waiting(after, most=AT_ONCE)
    if before.timezone != after.timezone:
        # Its days begin at other moments now. What is being converted is converted before, or by the new ones.
        lock_mapping(after)
        rollups.rebuild(after)
        credit_rollups.rebuild(after)
        allocation_costs.refresh(after, now=now(), anew=True)
