"""Makers of one record of each routed collection, through the services that users reach."""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.utils.timezone import now as current_time

from alliantra.workspaces.actors import Actor
from alliantra.workspaces.models import AuditEntry
from alliantra.workspaces.permissions import ALL
from partners.models import Partner
from partners.services import create_partner, create_payee, create_payee_group
from partners.services.costs import create_cost
from partners.services.fx_rates import RateValues, record_fx_rates
from partners.services.imports import create_partner_import, preview_partner_import
from reports.making import make
from reports.services import create_schedule, request_report
from revenues.imports.services import create_import
from revenues.ingestion.diagnosis import read_record
from revenues.ingestion.records import EventRecord, RevenueRecord
from revenues.ingestion.services import Landed, ingest_events, ingest_revenues
from revenues.services import create_product, create_source
from rules.calculation import calculate
from rules.models import CalculationItem, Statement
from rules.services import AllocationValues, approve_run, create_rule, lock_run, request_run
from webhooks.services import create_endpoint

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
CANARY = "canary"
"""Stands in every text of a record, so that it can be looked for in other workspaces' answers."""


def partner(actor: Actor, number: int = 1) -> UUID:
    """A partner."""
    return create_partner(actor=actor, external_id=f"partner-{number}", name=f"{CANARY} {number}").pk


def payee(actor: Actor, number: int = 1) -> UUID:
    """A payee."""
    return create_payee(actor=actor, external_id=f"payee-{number}", name=f"{CANARY} {number}").pk


def payee_group(actor: Actor, number: int = 1) -> UUID:
    """A group of two payees of its own."""
    members: Any = [{"payee_id": payee(actor, 20_000 + 2 * number + each), "weight": 1 + each} for each in (0, 1)]
    return create_payee_group(actor=actor, external_id=f"group-{number}", name=f"{CANARY} {number}", members=members).pk


def product(actor: Actor, number: int = 1) -> UUID:
    """A product."""
    return create_product(actor=actor, external_id=f"sku-{number}", name=f"{CANARY} {number}").pk


def source(actor: Actor, number: int = 1) -> UUID:
    """A revenue source."""
    return create_source(actor=actor, name=f"{CANARY} {number}").pk


def revenue(actor: Actor, number: int = 1, **values: Any) -> UUID:
    """A sale of 100.00 in the workspace's currency."""
    record = read_record(
        RevenueRecord,
        {
            "external_id": f"{CANARY}-{number}",
            "type": "sale",
            "amount": "100.00",
            "currency": actor.workspace.base_currency,
            "occurred_at": NOON.isoformat(),
            "external_product_identifier": f"unmapped-{CANARY}-{number}",
            **values,
        },
    )
    (outcome,) = ingest_revenues(actor.workspace, actor=actor, records=[record], now=NOON)
    assert isinstance(outcome, Landed), outcome
    return UUID(outcome.row.id)


def event(actor: Actor, number: int = 1) -> UUID:
    """A sale of today at a partner of its own."""
    create_partner(actor=actor, external_id=f"of-event-{number}", name=f"{CANARY} {number}")
    record = read_record(
        EventRecord,
        {
            "partner_id": f"of-event-{number}",
            "event_type": "transaction",
            "revenue_amount": 100,
            "external_id": f"{CANARY}-event-{number}",
        },
    )
    (outcome,) = ingest_events(actor.workspace, actor=actor, records=[record], now=current_time())
    assert isinstance(outcome, Landed), outcome
    return UUID(outcome.row.id)


def rule(actor: Actor, number: int = 1) -> UUID:
    """A catch-all that gives a payee of its own 20 percent."""
    share: AllocationValues = {"payee_id": payee(actor, 1_000 + number), "percentage": Decimal(20)}
    return create_rule(actor=actor, external_id=f"rule-{number}", name=f"{CANARY} {number}", allocations=[share]).pk


def run(actor: Actor, number: int = 1) -> UUID:
    """A calculated run of May 2026 over one sale and one rule."""
    revenue(actor, 5_000 + number)
    rule(actor, 5_000 + number)
    made = request_run(
        actor=actor,
        period_start=date(2026, 5, 1),
        period_end=date(2026, 5, 31),
        currency=actor.workspace.base_currency,
    )
    calculate(made.pk)
    return made.pk


def calculation_item(actor: Actor, number: int = 1) -> UUID:
    """An item of a calculated run."""
    return CalculationItem.objects.filter(run=run(actor, number)).earliest("id").pk


def statement(actor: Actor, number: int = 1) -> UUID:
    """The statement of a payee in a locked run over one sale, posted and closed by different people."""
    territory = {"territory": f"T{number}"}
    revenue(actor, 6_000 + number, **territory)
    recipient = payee(actor, 6_000 + number)
    share: AllocationValues = {"payee_id": recipient, "percentage": Decimal(20)}
    create_rule(
        actor=actor, name=f"{CANARY} {number}", allocations=[share], scope={"territories": [territory["territory"]]}
    )
    held = request_run(
        actor=actor,
        currency=actor.workspace.base_currency,
        period_start=date(2026, 5, 1),
        period_end=date(2026, 5, 31),
    )
    calculate(held.pk)
    reviewer = Actor(actor.workspace, "member", "Bea", uuid4(), ALL)
    lock_run(approve_run(held, actor=reviewer), actor=actor)
    return held.statements.get(payee=recipient).pk


def payee_with_balance(actor: Actor, number: int = 1) -> UUID:
    """A payee that a locked run allocated to."""
    return Statement.objects.get(pk=statement(actor, number)).payee_id


def import_batch(actor: Actor, number: int = 1) -> UUID:
    """The preview of a file with one sale and one row that has a problem."""
    lines = [
        "external_revenue_id,transaction_date,amount,currency",
        f"{CANARY}-file-{number},2026-05-15,1.00,GBP",
        f"{CANARY}-wrong-{number},2026-05-15,x,GBP",
    ]
    file = io.BytesIO("\n".join(lines).encode())
    return create_import(actor=actor, file=file, file_name=f"{CANARY}-{number}.csv").pk


def webhook(actor: Actor, number: int = 1) -> UUID:
    """An endpoint on a public address, which nothing is sent to by making it."""
    return create_endpoint(actor=actor, url=f"https://93.184.215.14/{CANARY}/{number}", description=CANARY).pk


def cost(actor: Actor, number: int = 1) -> UUID:
    """A fee of 31.00 for a partner of its own in May 2026."""
    may: Any = {"period_start": date(2026, 5, 1), "period_end": date(2026, 5, 31), "amount": Decimal(31)}
    owner = Partner.objects.get(pk=partner(actor, 30_000 + number))
    return create_cost(actor=actor, now=NOON, partner=owner, external_id=f"cost-{number}", note=CANARY, **may).pk


def fx_rate(actor: Actor, number: int = 1) -> UUID:
    """What a Chilean peso was worth in the base currency on a day of its own."""
    day = date(2026, 1, 1) + timedelta(days=number)
    values = RateValues("CLP", actor.workspace.base_currency, day, Decimal("0.00081"))
    return record_fx_rates(actor=actor, rates=[values])[0].row.pk


def partner_import(actor: Actor, number: int = 1) -> UUID:
    """An import of two partners that waits for a worker."""
    records = [{"external_id": f"imported-{number}-{each}", "name": CANARY} for each in range(2)]
    return create_partner_import(actor=actor, records=records, file_format="json").pk


def partner_upload(actor: Actor, number: int = 1) -> UUID:
    """What a file with a new partner and a row that is refused would do."""
    rows: Any = [(2, {"external_id": f"uploaded-{number}", "name": CANARY}), (3, {"external_id": CANARY, "type": "x"})]
    return preview_partner_import(
        actor=actor, rows=rows, file_format="csv", file_name=f"{CANARY}-partners-{number}.csv"
    ).pk


def audit_entry(actor: Actor, number: int = 1) -> UUID:
    """The entry of a new partner."""
    made = partner(actor, 31_000 + number)
    return AuditEntry.objects.get(workspace=actor.workspace, object_id=str(made)).pk


def report(actor: Actor, number: int = 1) -> UUID:
    """A report that was asked for, its one row a partner of its own."""
    revenue(actor, 7_000 + number, partner_id=str(partner(actor, 7_000 + number)))
    made = request_report(actor=actor, period="2026-05-01,2026-05-31").pk
    make(made)
    return made


def report_schedule(actor: Actor, number: int = 1) -> UUID:
    """A schedule that nobody is mailed by."""
    return create_schedule(actor=actor, name=f"{CANARY} {number}", cron="0 7 * * MON").pk


MAKERS: Mapping[str, Callable[[Actor, int], UUID]] = {
    "events": event,
    "partners": partner,
    "payees": payee,
    "payee-groups": payee_group,
    "products": product,
    "revenue-sources": source,
    "revenues": revenue,
    "product-mappings": revenue,
    "imports": import_batch,
    "rules": rule,
    "calculation-runs": run,
    "calculation-items": calculation_item,
    "statements": statement,
    "balances": payee_with_balance,
    "webhooks": webhook,
    "reports": report,
    "report-schedules": report_schedule,
    "costs": cost,
    "fx-rates": fx_rate,
    "v1/imports": partner_import,
    "audit": audit_entry,
}
"""Collection in a path → maker of one record of it; `v1/…` where both surfaces have a collection of that name."""


def maker_of(template: str) -> Callable[[Actor, int], UUID]:
    """Maker for the collection that a path names."""
    collection = next(part for part in template.split("/") if part not in {"", "api", "v1"})
    own = f"v1/{collection}"
    return MAKERS[own] if template.startswith("/v1/") and own in MAKERS else MAKERS[collection]
