"""Versions of a rule: what each changed, and any two of them beside each other."""

from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.http import QueryDict

from alliantra.workspaces.console.theme import Dropdown
from rules.admin import wording
from rules.models import Rule, RuleVersion

VERSIONS_SHOWN: Final = 50


class ComparedVersionsForm(forms.Form):
    """Two versions to compare; the last two, unless others are named."""

    before = forms.TypedChoiceField(label="Version", coerce=int, widget=Dropdown())
    after = forms.TypedChoiceField(label="with version", coerce=int, widget=Dropdown())

    def __init__(self, rule: Rule, given: QueryDict) -> None:
        rows = RuleVersion.objects.in_workspace(rule.workspace).filter(rule=rule)
        numbers = list(rows.order_by("-number").values_list("number", flat=True))
        last = {"after": numbers[0], "before": numbers[min(1, len(numbers) - 1)]}
        super().__init__({**last, **{name: given[name] for name in last if name in given}})
        self._rows = rows
        for name in last:
            field: Any = self.fields[name]
            field.choices = [(number, str(number)) for number in numbers]

    @property
    def is_of_use(self) -> bool:
        """Whether there are two versions."""
        choice: Any = self.fields["before"]
        return len(choice.choices) > 1

    def compared(self) -> dict[str, Any]:
        """Both versions, and their facts: those that differ, and those that are the same. Nothing if not valid."""
        if not self.is_valid():
            return {}
        numbers = (self.cleaned_data["before"], self.cleaned_data["after"])
        found = {row.number: row for row in self._rows.select_related("rule").filter(number__in=numbers)}
        before, after = (found[number] for number in numbers)
        known = wording.names(after.workspace, found.values())
        differences = wording.differences(before, after, known)
        differing = {label for label, _, _ in differences}
        same = [fact for fact in wording.facts(after, known).items() if fact[0] not in differing]
        return {"versions": [before, after], "differences": differences, "same": same}


def versions(rule: Rule) -> list[dict[str, Any]]:
    """Versions, the newest first, each with what it changed."""
    rows = list(
        RuleVersion.objects.in_workspace(rule.workspace).filter(rule=rule).order_by("-number")[: VERSIONS_SHOWN + 1]
    )
    known = wording.names(rule.workspace, rows)
    earlier: Sequence[RuleVersion | None] = [*rows[1:], None]
    return [
        {
            "row": row,
            "is_active": row.pk == rule.active_version_id,
            "facts": wording.facts(row, known),
            "differences": wording.differences(before, row, known),
        }
        for row, before in zip(rows, earlier, strict=True)
    ][:VERSIONS_SHOWN]
