"""A live report is made anew whenever a figure in it changed, by whatever path the change came."""

from decimal import Decimal

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Workspace
from revenues.attribution import catch_up_all, catch_up_with_all
from revenues.tasks import look_for_sales
from tests.http import ApiClient
from tests.revenues.attribution_journeys import day, make_partners, post, post_row, sale

PATH = "/v1/reports/roi?period=2026-05-01,2026-05-31"


def attributed(api: ApiClient) -> dict[str | None, Decimal]:
    """What each partner has credit for, by name."""
    answer = api.get(PATH)
    assert answer.status_code == 200, answer.content
    return {row["partner_name"]: Decimal(str(row["revenue_attributed"])) for row in answer.json()["data"]["rows"]}


def test_a_refund_that_follows_its_sale_while_another_waits_is_in_the_report(
    api: ApiClient, workspace: Workspace, actor: Actor
) -> None:
    make_partners(actor, "A")
    for name, of in (("r", "s"), ("q", "never")):
        post_row(actor, "refund", name, day(2), "-10", original_external_id=of)
    catch_up_with_all(workspace)
    post(actor, {**sale("A", "s", day(1)), "customer_id": None})
    assert attributed(api) == {"A": 100, None: -20}
    look_for_sales()
    catch_up_all()
    assert attributed(api) == {"A": 90, None: -10}
