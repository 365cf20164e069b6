"""Explanations as pages show them: a summary, the rules that were looked at, and each payee's amount step by step."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.utils.safestring import SafeString
from django.utils.text import capfirst

from alliantra.workspaces.console import display
from alliantra.workspaces.models import Workspace
from revenues.models import RevenueEvent
from rules.engine.explanation import Fate
from rules.engine.wording import quoted
from rules.explanations import Candidate, Explanation, explain_item, explain_revenue
from rules.models import CalculationItem
from rules.retracing import Basis

CANDIDATES_SHOWN: Final = 5
"""Rules in the open table; those after them are unfolded."""
STEPS_IN_SUMMARY: Final = 4
"""With more steps the summary leaves the arithmetic to the items."""
FATES: Final[Mapping[str, tuple[str, str]]] = {
    Fate.WON: ("active", "won"),
    Fate.LOST: ("pending", "lost"),
    Fate.NO_MATCH: ("plain", "no match"),
}
"""Fate → tint and words of its badge."""
BASES: Final[Mapping[Basis, tuple[str, str]]] = {
    Basis.LOCKED: ("locked", "as locked"),
    Basis.CALCULATED: ("calculated", "as calculated"),
    Basis.PREVIEW: ("pending", "preview"),
}


class ShownCandidate(NamedTuple):
    """One rule version, its fate, and why in words that do not repeat its name."""

    candidate: Candidate
    badge: SafeString
    why: str


def why_revenue(event: RevenueEvent, workspace: Workspace) -> dict[str, Any]:
    """Context of why.html for a row of the ledger; nothing for activity without an amount."""
    return {} if event.amount is None else shown_explanation(explain_revenue(event, workspace))


def why_item(item: CalculationItem, workspace: Workspace) -> dict[str, Any]:
    """Context of why.html for one item of a run."""
    return shown_explanation(explain_item(item, workspace))


def shown_explanation(found: Explanation) -> dict[str, Any]:
    """What why.html shows of an explanation."""
    summary, details = told(found)
    candidates = [_shown(candidate) for candidate in found.candidates]
    return {
        "explanation": found,
        "summary": summary,
        "details": details,
        "basis": display.badge(*BASES[found.basis]),
        "is_preview": found.basis is Basis.PREVIEW,
        "candidates": candidates[:CANDIDATES_SHOWN],
        "other_candidates": candidates[CANDIDATES_SHOWN:],
    }


def told(found: Explanation) -> tuple[str, Sequence[str]]:
    """The summary, and the sentences that neither it nor the steps of the items say."""
    steps = {step.text for item in found.items for step in item.steps}
    others = [sentence for sentence in found.sentences if sentence not in steps]
    is_short = len(steps) <= STEPS_IN_SUMMARY
    said = found.summary if is_short else " ".join(each for each in others if each in found.summary)
    return said, [sentence for sentence in others if sentence not in said]


def _shown(candidate: Candidate) -> ShownCandidate:
    title = f"Rule {quoted(candidate.name)} v{candidate.version} "
    why = capfirst(candidate.sentence.removeprefix(title))
    return ShownCandidate(candidate, display.badge(*FATES[candidate.fate]), why)
