"""Making a demo workspace through the same services that people and programs use."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db import transaction

from alliantra.demo.history import CURRENCY, records
from alliantra.demo.intelligence import learn, record_demo_costs, record_demo_rates
from alliantra.demo.scenarios import DemoPartner, DemoRule, Scenario
from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import Environment, Membership, Role, User, Workspace
from alliantra.workspaces.permissions import ALL
from alliantra.workspaces.services import add_member, create_user, create_workspace, issue_api_key, update_workspace
from partners.models import Partner, Payee
from partners.services import create_partner, create_payee
from revenues.ingestion.diagnosis import read_record
from revenues.ingestion.records import EventRecord
from revenues.ingestion.services import Landed, ingest_events
from revenues.models import Product
from revenues.services import create_product
from rules.calculation import calculate
from rules.models import CalculationRun, ExceptionDecision
from rules.payouts.confirmation_files import payments_from_records
from rules.readiness import open_exceptions
from rules.services import (
    AllocationValues,
    approve_run,
    create_rule,
    decide_exceptions,
    export_payouts,
    import_confirmations,
    lock_run,
    request_run,
)

BATCH = 2_000
OWN_PAYEE = "*"
"""In a rule's shares: the payee of whichever partner brought the row."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person needs to look round; exists nowhere else once it is written down."""

    user: str
    password: str
    approver_user: str
    approver_password: str
    api_key: str
    partner: str


@dataclass(frozen=True, slots=True)
class Cast:
    """The records that rules refer to, by external id."""

    partners: Mapping[str, Partner]
    payees: Mapping[str, Payee]
    products: Mapping[str, Product]


def build(scenario: Scenario, *, now: datetime, seed: int) -> tuple[Workspace, Credentials]:
    """Make the whole workspace: two years of history, a closed month, and one that waits for approval."""
    workspace = create_workspace(
        slug=scenario.slug,
        name=scenario.name,
        base_currency=CURRENCY,
        timezone="Europe/London",
        is_demo=True,
    )
    actor = Actor.system(workspace, "Demo")
    options = [{"name": name, "label": label} for name, label in scenario.categories]
    workspace = update_workspace(workspace, actor=actor, settings={"product_categories": options})
    actor = Actor.system(workspace, "Demo")
    credentials = _people(workspace, actor, scenario.partners[0].external_id)
    _make_staging(scenario, credentials)
    cast = _cast(scenario, actor)
    today = now.astimezone(workspace.zone).date()
    for rule in scenario.rules:
        _agree(rule, scenario, cast, actor, today)
    record_demo_rates(actor, today)
    _remember(scenario, actor, today, seed, now)
    record_demo_costs(actor, cast.partners, today, now)
    _close_and_calculate(workspace, credentials, today)
    learn(workspace, actor, today=today, now=now)
    return workspace, credentials


def _make_staging(scenario: Scenario, credentials: Credentials) -> None:
    """An empty workspace of the same company, so that there is one to switch to."""
    staging = create_workspace(
        slug=scenario.slug,
        environment=Environment.STAGING,
        name=scenario.name,
        base_currency=CURRENCY,
        timezone="Europe/London",
        is_demo=True,
    )
    owner = User.objects.get(email=credentials.user)
    add_member(staging, actor=Actor.system(staging, "Demo"), user=owner, role=Role.OWNER)


def _people(workspace: Workspace, actor: Actor, partner: str) -> Credentials:
    """An owner, a reviewer who may approve what the owner calculated, and a key."""
    owner, password = _person(f"owner@{workspace.slug}.example", "Olive Owner")
    reviewer, approver_password = _person(f"reviewer@{workspace.slug}.example", "Remy Reviewer")
    add_member(workspace, actor=actor, user=owner, role=Role.OWNER)
    add_member(workspace, actor=actor, user=reviewer, role=Role.REVIEWER)
    _, key = issue_api_key(
        workspace, actor=actor, name="Demo key", key_set="Demo", permissions=sorted(ALL), created_by=owner
    )
    return Credentials(owner.email, password, reviewer.email, approver_password, key, partner)


def _person(email: str, name: str) -> tuple[User, str]:
    password = secrets.token_urlsafe(12)
    return create_user(email=email, name=name, password=password), password


def _cast(scenario: Scenario, actor: Actor) -> Cast:
    partners = {partner.external_id: _partner(partner, actor) for partner in scenario.partners}
    payees = {
        partner.external_id: create_payee(
            actor=actor,
            external_id=partner.external_id,
            name=partner.name,
            type="agency" if partner.type == "agency" else "affiliate",
            partner=partners[partner.external_id],
            currency=CURRENCY,
            contact_email=f"payouts@{partner.external_id.replace('_', '-')}.example",
            minimum_payout=Decimal(25),
        )
        for partner in scenario.partners
    }
    for external_id, name, kind in scenario.house_payees:
        payees[external_id] = create_payee(
            actor=actor, external_id=external_id, name=name, type=kind, currency=CURRENCY
        )
    products = {
        product.external_id: create_product(
            actor=actor,
            external_id=product.external_id,
            name=product.name,
            category=product.category,
            tags=list(product.tags),
        )
        for product in scenario.products
    }
    return Cast(partners, payees, products)


def _partner(partner: DemoPartner, actor: Actor) -> Partner:
    return create_partner(
        actor=actor,
        external_id=partner.external_id,
        name=partner.name,
        type=partner.type,
        channel=partner.channel,
        program=partner.program,
        region=partner.region,
    )


def _agree(rule: DemoRule, scenario: Scenario, cast: Cast, actor: Actor, today: date) -> None:
    """Save a rule; one that pays each partner's own payee becomes a rule per partner."""
    if OWN_PAYEE not in rule.shares:
        _save_rule(rule, rule.external_id, rule.name, rule.shares, rule.scope, cast, actor, today)
        return
    for partner in scenario.partners:
        shares = {partner.external_id if name == OWN_PAYEE else name: share for name, share in rule.shares.items()}
        scope = {**rule.scope, "partner_ids": (partner.external_id,)}
        external_id = f"{rule.external_id}_{partner.external_id}"
        _save_rule(rule, external_id, f"{rule.name} · {partner.name}", shares, scope, cast, actor, today)


def _save_rule(
    rule: DemoRule,
    external_id: str,
    name: str,
    shares: Mapping[str, str],
    scope: Mapping[str, tuple[str, ...]],
    cast: Cast,
    actor: Actor,
    today: date,
) -> None:
    create_rule(
        actor=actor,
        external_id=external_id,
        name=name,
        priority=rule.priority,
        allocation_type="tiered" if rule.tiers else "flat",
        tier_window="month" if rule.tiers else "run",
        allocations=[_allocation(rule, cast.payees[payee], percentage) for payee, percentage in shares.items()],
        scope=_scope(scope, cast),
        valid_from=_day(today, rule.from_days_ago),
        valid_to=_day(today, rule.until_days_ago),
    )


def _allocation(rule: DemoRule, payee: Payee, percentage: str) -> AllocationValues:
    allocation: AllocationValues = {"payee_id": payee.pk}
    if rule.tiers:
        allocation["tiers"] = [{"from": Decimal(start), "percentage": Decimal(rate)} for start, rate in rule.tiers]
    else:
        allocation["percentage"] = Decimal(percentage)
    if rule.cap:
        allocation["cap_amount"] = Decimal(rule.cap)
    return allocation


def _scope(named: Mapping[str, tuple[str, ...]], cast: Cast) -> dict[str, Any]:
    """A scope whose external ids became ids."""
    records: dict[str, Mapping[str, Any]] = {"partner_ids": cast.partners, "product_ids": cast.products}
    return {
        dimension: [str(records[dimension][name].pk) for name in names] if dimension in records else list(names)
        for dimension, names in named.items()
    }


def _day(today: date, days_ago: int | None) -> date | None:
    return None if days_ago is None else today - timedelta(days=days_ago)


@transaction.atomic
def _remember(scenario: Scenario, actor: Actor, today: date, seed: int, now: datetime) -> None:
    """Take in the history as if a shop had posted it."""
    history = records(scenario, today=today, seed=seed)
    while batch := list(islice(history, BATCH)):
        decoded = [read_record(EventRecord, record) for record in batch]
        outcomes = ingest_events(actor.workspace, actor=actor, records=decoded, now=now)
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Landed)]
        assert not refused, refused[0]


def _close_and_calculate(workspace: Workspace, credentials: Credentials, today: date) -> None:
    """The month before last closed and paid; last month calculated, and waiting for the reviewer."""
    owner, reviewer = (
        Actor.from_membership(
            Membership.objects.in_workspace(workspace).get(user__email=user), address=None, request_id=""
        )
        for user in (credentials.user, credentials.approver_user)
    )
    last = today.replace(day=1) - timedelta(days=1)
    closed = _calculated(owner, last.replace(day=1) - timedelta(days=1))
    if open_exceptions(closed).exists():
        reason = "Sales that came without a partner."
        decide_exceptions(closed, actor=owner, decision=ExceptionDecision.Kind.SETTLED, reason=reason)
    closed = lock_run(approve_run(closed, actor=reviewer), actor=owner)
    paid = [
        {
            "payee_external_id": payable.payee.external_id,
            "currency": payable.currency,
            "amount": str(payable.amount_due),
            "reference": f"BACS {closed.number:03d}-{place:02d}",
        }
        for place, payable in enumerate(export_payouts(closed, actor=owner, form="csv"), 1)
    ]
    payments = payments_from_records(paid)
    import_confirmations(closed, actor=owner, payments=payments, digest="0" * 64, file_name="bank.csv")
    _calculated(owner, last)


def _calculated(actor: Actor, last: date) -> CalculationRun:
    """A run of the month that ends with `last`."""
    run = request_run(actor=actor, period_start=last.replace(day=1), period_end=last, currency=CURRENCY)
    calculate(run.pk)
    run.refresh_from_db()
    return run
