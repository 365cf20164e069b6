"""A form that was opened before somebody else changed its row does not undo what they did."""

import re

from django.test import Client
from django.urls import reverse

from alliantra.workspaces.actors import Actor
from partners.models import Partner
from partners.services import create_partner
from tests import factories
from tests.console.test_writes import errors, table


def seen(page: str) -> str:
    """What the form knows of the row that it was opened on."""
    found = re.search(r'name="seen" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


def typed(partner: Partner, **values: str) -> dict[str, str]:
    """The form of a partner as it is sent."""
    sent = {"name": partner.name, "type": partner.type, "channel": partner.channel, **table("metadata")}
    return {**sent, **values}


def test_a_form_opened_before_another_change_is_shown_again_with_what_was_typed(owner: Client, actor: Actor) -> None:
    partner = create_partner(actor=actor, external_id="ada", name="Ada", channel="mail")
    address = reverse("admin:partners_partner_settings", args=[partner.pk])
    first, second = seen(owner.get(address).text), seen(owner.get(address).text)
    sent = typed(partner, external_id="ada")
    assert owner.post(address, {**sent, "channel": "video", "seen": first}).status_code == 302
    page = owner.post(address, {**sent, "name": "Ada Ltd", "seen": second})
    assert page.status_code == 200
    assert "changed by somebody else" in " ".join(errors(page)["__all__"])
    assert 'value="Ada Ltd"' in page.text
    partner.refresh_from_db()
    assert (partner.name, partner.channel) == ("Ada", "video")
    assert seen(page.text) != second
    sent |= {"name": "Ada Ltd", "channel": "video", "seen": seen(page.text)}
    assert owner.post(address, sent).status_code == 302
    partner.refresh_from_db()
    assert (partner.name, partner.channel) == ("Ada Ltd", "video")


def test_what_changes_beside_the_form_refuses_nothing(owner: Client, actor: Actor) -> None:
    partner = create_partner(actor=actor, external_id="ada", name="Ada")
    address = reverse("admin:partners_partner_settings", args=[partner.pk])
    opened = seen(owner.get(address).text)
    Partner.objects.filter(pk=partner.pk).update(status="at_risk")
    assert owner.post(address, typed(partner, external_id="ada", name="Ada Ltd", seen=opened)).status_code == 302


def test_a_form_knows_the_same_of_a_row_that_did_not_change(owner: Client, actor: Actor) -> None:
    pages = {
        "partners_payee_change": factories.payee(actor, 1),
        "partners_payeegroup_change": factories.payee_group(actor, 1),
        "revenues_product_change": factories.product(actor, 1),
        "rules_rule_change": factories.rule(actor, 1),
        "partners_cost_change": factories.cost(actor, 1),
        "partners_fxrate_change": factories.fx_rate(actor, 1),
        "reports_reportschedule_settings": factories.report_schedule(actor, 1),
        "webhooks_endpoint_settings": factories.webhook(actor, 1),
        "workspaces_workspace_change": actor.workspace.pk,
    }
    for name, identity in pages.items():
        page = reverse(f"admin:{name}", args=[identity])
        assert seen(owner.get(page).text) == seen(owner.get(page).text), name
