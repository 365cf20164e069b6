"""The cast of the console's tests: members with a browser, and a workspace with a row of every kind."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Membership, User, Workspace
from alliantra.workspaces.permissions import ALL
from alliantra.workspaces.services import add_member, create_user, issue_api_key
from revenues.models import Product, RevenueSource
from revenues.services import map_identifier
from rules.calculation import calculate
from rules.models import CalculationRun
from rules.services import approve_run, create_rule, export_payouts, lock_run, request_run
from tests import factories
from webhooks.models import Delivery, Endpoint
from webhooks.services import send_test

PASSWORD = "correct horse battery staple"
MemberFactory = Callable[..., Client]


@pytest.fixture(autouse=True)
def unhashed_passwords() -> Iterator[None]:
    """Nothing here is about the hash."""
    hashers = settings.PASSWORD_HASHERS
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    yield
    settings.PASSWORD_HASHERS = hashers


def person(email: str) -> User:
    """The person with this address."""
    return User.objects.filter(email=email).first() or create_user(email=email, name=email[:20], password=PASSWORD)


def join(workspace: Workspace, email: str, role: str) -> Membership:
    """A person with a role in a workspace."""
    return add_member(workspace, actor=Actor.system(workspace), user=person(email), role=role)


@pytest.fixture
def member(workspace: Workspace) -> MemberFactory:
    """`member("viewer")`: a browser signed in as a member of Acme with that role, the owner by default."""

    def make(role: str = "owner", of: Workspace = workspace) -> Client:
        membership = join(of, f"{role}@{of.slug}.example", role)
        browser = Client()
        browser.force_login(membership.user)
        return browser

    return make


@pytest.fixture
def owner(member: MemberFactory) -> Client:
    """The owner of Acme."""
    return member()


def one_of_each(actor: Actor, number: int = 1) -> None:
    """A row of every model that the console shows; the canary stands in every name."""
    closed_march(actor, number)
    exception_before_there_is_a_rule(actor, number)
    configured = ("partners", "payees", "payee-groups", "products", "revenue-sources", "costs", "fx-rates")
    for name in (*configured, "calculation-runs", "imports", "report-schedules"):
        factories.MAKERS[name](actor, number)
    factories.report(actor, 500 + number)
    factories.partner_upload(actor, number)
    rows: Any = {"source": RevenueSource, "product": Product}
    named = {
        name: model.objects.in_workspace(actor.workspace).filter(name__contains=factories.CANARY).first()
        for name, model in rows.items()
    }
    identifier = f"{factories.CANARY}-identifier-{number}"
    map_identifier(actor.workspace, actor=actor, external_product_identifier=identifier, **named)
    issue_api_key(actor.workspace, actor=actor, name=f"{factories.CANARY} key", permissions=["read:payees"])
    join(actor.workspace, f"{factories.CANARY}-{number}@{actor.workspace.slug}.example", "viewer")
    delivery(actor, number)


def delivery(actor: Actor, number: int = 1) -> Delivery:
    """A test delivery that is due, to an endpoint of its own."""
    endpoint = Endpoint.objects.get(pk=factories.webhook(actor, number))
    return send_test(endpoint, actor=actor)


def exception_before_there_is_a_rule(actor: Actor, number: int) -> None:
    """A calculated run of a period with one sale that no rule takes."""
    factories.revenue(actor, 9_000 + number, occurred_at=datetime(2026, 2, 2, 12, tzinfo=UTC).isoformat())
    month: Any = {"period_start": date(2026, 2, 1), "period_end": date(2026, 2, 28)}
    calculate(request_run(actor=actor, currency=actor.workspace.base_currency, **month).pk)


MARCH: Any = {"period_start": date(2026, 3, 1), "period_end": date(2026, 3, 31)}


def march(actor: Actor, number: int = 1, *, asked_by: Actor | None = None) -> CalculationRun:
    """A calculated run of March: a sale of 100.00 of which a payee gets 20 percent, at most 15.00."""
    territory = f"March {number}"
    factories.revenue(
        actor, 7_000 + number, occurred_at=datetime(2026, 3, 15, 12, tzinfo=UTC).isoformat(), territory=territory
    )
    share: Any = {"payee_id": factories.payee(actor, 7_000 + number), "percentage": Decimal(20)}
    share["cap_amount"] = Decimal(15)
    name = f"{factories.CANARY} march {number}"
    create_rule(actor=actor, name=name, allocations=[share], scope={"territories": [territory]})
    run = request_run(actor=asked_by or actor, currency=actor.workspace.base_currency, **MARCH)
    calculate(run.pk)
    run.refresh_from_db()
    return run


def closed_march(actor: Actor, number: int = 1) -> CalculationRun:
    """March approved by somebody else, locked and exported."""
    reviewer = Actor(actor.workspace, "member", "Bea", uuid4(), ALL)
    run = lock_run(approve_run(march(actor, number), actor=reviewer), actor=actor)
    export_payouts(run, actor=actor, form="csv")
    return run
