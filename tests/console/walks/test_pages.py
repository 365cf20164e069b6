"""Every page opens with a row of every kind on it, and every form offers rows of its workspace only."""

import re
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.console.rows import RowsField
from rules.models import CalculationException
from tests.console.walks.registered import REGISTERED, address, label, rows_of

OF_ONE_RUN = {"CalculationItem", "CalculationException", "CalculationAdjustment", "Payout"}


def list_of(model: type[Model], rows: Actor) -> str:
    """Address of a list; of the last run's where a run must be named."""
    if model.__name__ not in OF_ONE_RUN:
        return address(model, "changelist")
    return f"{address(model, 'changelist')}?run={rows_of(model, rows.workspace)[-1].run_id}"


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_lists_and_pages_open(model: type[Model], owner: Client, rows: Actor) -> None:
    assert owner.get(list_of(model, rows), follow=True).status_code == 200
    for row in rows_of(model, rows.workspace):
        assert owner.get(address(model, "change", row.pk)).status_code == 200
        assert owner.get(address(model, "history", row.pk)).status_code == 200


def test_home_and_the_queue_open(owner: Client, rows: Actor) -> None:
    home = owner.get(reverse("admin:index")).text
    assert "Run 3" in home
    assert "calculated" in home
    queue = owner.get(reverse("admin:revenues_productmapping_unmapped")).text
    assert "unmapped-canary-5002" in queue


def test_exceptions_link_to_their_rows(owner: Client, rows: Actor) -> None:
    exception = CalculationException.objects.in_workspace(rows.workspace).get()
    text = owner.get(reverse("admin:rules_calculationrun_change", args=[exception.run_id])).text
    assert reverse("admin:revenues_revenueevent_change", args=[exception.event_id]) in text


def test_no_page_names_another_host(owner: Client, rows: Actor) -> None:
    for model in REGISTERED:
        text = owner.get(address(model, "change", rows_of(model, rows.workspace)[0].pk)).text
        hosts = set(re.findall(r"""(?:src|href|action)=["'](?:https?:)?//([^/"']+)""", text))
        assert not hosts


def fields_of(form: Any) -> list[Any]:
    """Form fields, those inside tables included."""
    fields = list(form.fields.values())
    for field in form.fields.values():
        if isinstance(field, RowsField):
            fields += field.widget.formset(form_kwargs=field.widget.form_kwargs).empty_form.fields.values()
    return fields


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_forms_offer_only_rows_of_the_workspace(
    model: type[Model], owner: Client, rows: Actor, rival_rows: Actor
) -> None:
    row = rows_of(model, rows.workspace)[0]
    for page in (address(model, "add"), address(model, "change", row.pk)):
        shown = owner.get(page)
        assert shown.status_code in {200, 403}
        form = shown.context["adminform"].form if "adminform" in (shown.context or {}) else None
        for field in fields_of(form) if form is not None else ():
            if hasattr(field, "queryset"):
                assert not field.queryset.exclude(workspace=rows.workspace).exists()
