"""The exports that are known by name, as far as their columns are publicly described; pure.

Each template says where its columns come from. `is_complete=False` marks exports of which only some
columns are described: those are filled in, and people map the rest in the preview.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from revenues.imports.templates import Choice, Template

GENERIC: Final = Template(
    key="generic",
    name="Generic file",
    version=1,
    expected_source_type="file",
    source="The columns of this product's own reference, with the names that shops and banks use for them.",
    aliases={
        "external_revenue_id": (
            "external_revenue_id", "external_id", "revenue_id", "transaction_id", "order_id", "invoice_id",
            "invoice_number", "order_number", "reference", "id",
        ),
        "transaction_date": (
            "transaction_date", "occurred_at", "transaction_time", "order_date", "invoice_date", "sale_date", "date",
            "created_at", "created", "timestamp",
        ),
        "amount": ("amount", "revenue_amount", "revenue", "net_amount", "sale_amount", "order_amount", "total"),
        "currency": ("currency", "currency_code"),
        "revenue_type": ("revenue_type", "type", "transaction_type"),
        "external_product_id": (
            "external_product_id", "external_product_identifier", "product_id", "product_sku", "sku", "product",
        ),
        "payee_hint": ("payee_hint", "payee", "payee_id", "affiliate_id", "affiliate", "seller_id", "creator"),
        "partner_external_id": ("partner_external_id", "partner_id", "partner"),
        "territory": ("territory", "country", "region"),
        "customer_id": ("customer_id", "customer"),
        "original_external_id": ("original_external_id", "original_transaction_id", "refunded_transaction_id"),
        "reason": ("reason",),
    },
    sample=(
        ("external_revenue_id", "transaction_date", "amount", "currency", "revenue_type", "external_product_id",
         "payee_hint", "metadata_country"),
        ("invoice_123", "2026-05-31T10:00:00+00:00", "249.00", "USD", "sale", "sku_annual_pro", "partner_001", "US"),
        ("invoice_123-r", "2026-06-02T09:30:00+00:00", "-49.00", "USD", "refund", "sku_annual_pro", "partner_001",
         "US"),
    ),
)  # fmt: skip

_STRIPE_TYPES: Final = MappingProxyType(
    {
        "charge": "sale",
        "payment": "sale",
        "refund": "refund",
        "payment_refund": "refund",
        "charge_refund": "refund",
        "partial_capture_reversal": "refund",
        "dispute": "refund",
        "dispute_reversal": "adjustment",
        "payment_failure_refund": "refund",
        "refund_failure": "adjustment",
    }
)
_STRIPE_REVENUE: Final = frozenset(_STRIPE_TYPES)

STRIPE: Final = Template(
    key="stripe",
    name="Stripe balance change from activity",
    version=1,
    expected_source_type="stripe",
    source="docs.stripe.com/reports/balance and /reports/report-types/balance: itemized balance change from activity, "
    "with the columns source_id and charge_id. Rows are known by the object they are about, so that refunds find "
    "their charge; the other two exports of Stripe know the same sales by other ids: import one of the three.",
    signature=("source_id", "reporting_category", "gross"),
    timezone="UTC",
    types=_STRIPE_TYPES,
    names_sale_on_every_row=True,
    choices=(Choice(("reporting_category",), kept=_STRIPE_REVENUE, only=True),),
    aliases={
        "external_revenue_id": ("source_id",),
        "transaction_date": ("created_utc", "created"),
        "amount": ("gross",),
        "currency": ("currency",),
        "revenue_type": ("reporting_category",),
        "customer_id": ("customer_id",),
        "territory": ("card_country",),
        "original_external_id": ("charge_id",),
        "reason": ("description",),
        "metadata_balance_transaction_id": ("balance_transaction_id",),
        "metadata_invoice_id": ("invoice_id",),
        "metadata_subscription_id": ("subscription_id",),
    },
    sample=(
        ("balance_transaction_id", "created_utc", "currency", "gross", "fee", "net", "reporting_category",
         "source_id", "description", "customer_id", "charge_id"),
        ("txn_1", "2026-05-31 10:00:00", "usd", "249.00", "7.52", "241.48", "charge", "ch_1", "Annual Pro", "cus_1",
         "ch_1"),
        ("txn_2", "2026-06-02 09:30:00", "usd", "-49.00", "0.00", "-49.00", "refund", "re_1", "Annual Pro", "cus_1",
         "ch_1"),
        ("txn_3", "2026-06-05 00:00:00", "usd", "-192.48", "0.00", "-192.48", "payout", "po_1", "PAYOUT", "", ""),
    ),
)  # fmt: skip

STRIPE_BALANCE: Final = Template(
    key="stripe_balance",
    name="Stripe balance history",
    version=1,
    expected_source_type="stripe",
    source="The Dashboard's balance history export; its header stands in public importers and samples.",
    signature=("id", "Type", "Source", "Amount", "Fee", "Net"),
    timezone="UTC",
    types=_STRIPE_TYPES,
    choices=(Choice(("Type",), kept=_STRIPE_REVENUE, only=True),),
    aliases={
        "external_revenue_id": ("id",),
        "transaction_date": ("Created (UTC)", "Created date (UTC)"),
        "amount": ("Amount",),
        "currency": ("Currency",),
        "revenue_type": ("Type",),
        "reason": ("Description",),
        "metadata_source": ("Source",),
    },
    sample=(
        ("id", "Type", "Source", "Amount", "Fee", "Net", "Currency", "Created (UTC)", "Available On (UTC)",
         "Description"),
        ("txn_1", "charge", "ch_1", "249.00", "7.52", "241.48", "usd", "2026-05-31 10:00", "2026-06-02 00:00", "Pro"),
        ("txn_2", "refund", "ch_1", "-49.00", "0.00", "-49.00", "usd", "2026-06-02 09:30", "2026-06-02 09:30", "Pro"),
    ),
)  # fmt: skip

STRIPE_PAYMENTS: Final = Template(
    key="stripe_payments",
    name="Stripe payments",
    version=1,
    expected_source_type="stripe",
    source="The Dashboard's payments export; its header stands in public importers and samples.",
    signature=("id", "Amount", "Amount Refunded", "Currency", "Status"),
    timezone="UTC",
    choices=(Choice(("Status",), kept=frozenset({"paid", "refunded", "partially_refunded", "succeeded"}), only=True),),
    zero_columns=("Amount Refunded",),
    zero_reason="Stripe's payments export does not say when a refund was made. Import its balance report instead.",
    aliases={
        "external_revenue_id": ("id",),
        "transaction_date": ("Created date (UTC)", "Created (UTC)"),
        "amount": ("Amount",),
        "currency": ("Currency",),
        "customer_id": ("Customer ID",),
        "territory": ("Card Issue Country",),
        "reason": ("Description",),
        "metadata_invoice_id": ("Invoice ID",),
    },
    sample=(
        ("id", "Created date (UTC)", "Amount", "Amount Refunded", "Currency", "Captured", "Fee", "Status",
         "Description", "Customer ID"),
        ("ch_1", "2026-05-31 10:00:00", "249.00", "0.00", "usd", "true", "7.52", "Paid", "Annual Pro", "cus_1"),
        ("ch_2", "2026-05-31 11:00:00", "99.00", "0.00", "usd", "true", "0.00", "Failed", "Monthly", "cus_2"),
    ),
)  # fmt: skip

PADDLE: Final = Template(
    key="paddle",
    name="Paddle transactions",
    version=1,
    expected_source_type="paddle",
    source="developer.paddle.com/build/reports/transactions: headings mirror the fields of the API; refunds stand in "
    "the adjustments report.",
    is_complete=False,
    signature=("id", "status", "currency_code", "subtotal", "total"),
    timezone="UTC",
    choices=(Choice(("status",), kept=frozenset({"paid", "completed", "billed"}), only=True),),
    aliases={
        "external_revenue_id": ("id", "transaction_id"),
        "transaction_date": ("billed_at", "completed_at", "created_at"),
        "amount": ("subtotal",),
        "currency": ("currency_code",),
        "customer_id": ("customer_id",),
        "territory": ("country_code", "address_country_code"),
        "metadata_subscription_id": ("subscription_id",),
        "metadata_invoice_number": ("invoice_number",),
    },
    sample=(
        ("id", "status", "invoice_number", "customer_id", "subscription_id", "created_at", "billed_at",
         "currency_code", "subtotal", "tax", "total"),
        ("txn_01", "completed", "325-1", "ctm_01", "sub_01", "2026-05-31T10:00:00Z", "2026-05-31T10:00:05Z", "USD",
         "249.00", "49.80", "298.80"),
    ),
)  # fmt: skip

IMPACT: Final = Template(
    key="impact",
    name="impact.com action listing",
    version=1,
    expected_source_type="affiliate",
    source="help.impact.com: Action Listing reports; and the fields of the Actions API. The brand's own table is not "
    "fully described.",
    is_complete=False,
    signature=("Action Id", "Action Date", "Sale Amount"),
    choices=(
        Choice(("Status", "State", "Action Status"), left_out=frozenset({"reversed", "rejected"})),
    ),
    aliases={
        "external_revenue_id": ("Action Id", "ActionId"),
        "transaction_date": ("Action Date", "Event Date", "EventDate"),
        "amount": ("Sale Amount", "SaleAmount"),
        "currency": ("Currency", "Currency Code"),
        "payee_hint": ("Media Partner Id", "MediaPartnerId", "Partner Id", "Media Partner", "Partner"),
        "territory": ("Customer Country", "CustomerCountry"),
        "customer_id": ("Customer Id", "CustomerId"),
        "metadata_campaign": ("Campaign Name", "CampaignName"),
        "metadata_action_tracker": ("Action Tracker", "ActionTrackerName", "Event Type"),
        "metadata_oid": ("Oid", "Order Id"),
    },
    sample=(
        ("Action Id", "Action Date", "Status", "Media Partner Id", "Campaign Name", "Action Tracker", "Sale Amount",
         "Payout", "Currency"),
        ("1000.4636.158133", "2026-05-31T10:00:00+00:00", "APPROVED", "4711", "Northwind", "Online sale", "249.00",
         "24.90", "USD"),
    ),
)  # fmt: skip

PARTNERSTACK: Final = Template(
    key="partnerstack",
    name="PartnerStack transactions",
    version=1,
    expected_source_type="affiliate",
    source="docs.partnerstack.com: fields of a transaction in the API, whose amounts are in minor units. Reports are "
    "configured by their users, so their headings differ.",
    is_complete=False,
    signature=("key", "amount", "currency", "partner_key"),
    timezone="UTC",
    whole_numbers_are_minor_units=True,
    aliases={
        "external_revenue_id": ("transaction_key", "key"),
        "transaction_date": ("created_at", "created", "date"),
        "amount": ("amount", "transaction_amount"),
        "currency": ("currency",),
        "external_product_id": ("product_key", "category_key"),
        "payee_hint": ("partner_key", "partner_email", "partner"),
        "customer_id": ("customer_external_key", "customer_key"),
        "metadata_category": ("category_key",),
    },
    sample=(
        ("key", "created_at", "amount", "currency", "product_key", "partner_key", "customer_external_key"),
        ("tran_0001", "2026-05-31T10:00:00Z", "24900", "USD", "annual_pro", "northwind", "cus_1"),
    ),
)  # fmt: skip

REWARDFUL: Final = Template(
    key="rewardful",
    name="Rewardful sales",
    version=1,
    expected_source_type="affiliate",
    source="help.rewardful.com describes imports but not the columns of the sales and commissions exports; the names "
    "are those of its API.",
    is_complete=False,
    signature=("sale_amount_cents", "affiliate_id"),
    timezone="UTC",
    whole_numbers_are_minor_units=True,
    aliases={
        "external_revenue_id": ("sale_id", "stripe_charge_id", "id"),
        "transaction_date": ("charged_at", "invoiced_at", "created_at"),
        "amount": ("sale_amount_cents", "sale_amount"),
        "currency": ("currency",),
        "payee_hint": ("affiliate_id", "affiliate_token", "affiliate_email", "affiliate"),
        "customer_id": ("stripe_customer_id", "customer_id"),
        "metadata_campaign": ("campaign", "campaign_name"),
    },
    sample=(
        ("id", "charged_at", "sale_amount_cents", "currency", "affiliate_id", "stripe_customer_id"),
        ("sale_1", "2026-05-31T10:00:00Z", "24900", "USD", "aff_1", "cus_1"),
    ),
)  # fmt: skip

TAPFILIATE: Final = Template(
    key="tapfiliate",
    name="Tapfiliate conversions",
    version=1,
    expected_source_type="affiliate",
    source="support.tapfiliate.com/en/articles/2446220: the columns of a conversions file.",
    signature=("external_id", "amount", "created_at", "affiliate_email", "program"),
    choices=(Choice(("commission_status",), left_out=frozenset({"disapproved"})),),
    aliases={
        "external_revenue_id": ("external_id",),
        "transaction_date": ("created_at",),
        "amount": ("amount",),
        "currency": ("currency",),
        "payee_hint": ("affiliate_email",),
        "customer_id": ("customer_id",),
        "metadata_program": ("program",),
        "metadata_platform": ("platform",),
    },
    sample=(
        ("external_id", "amount", "created_at", "affiliate_email", "program", "currency", "customer_id"),
        ("order_1", "249.00", "2026-05-31 10:00:00", "ada@northwind.example", "default", "USD", "cus_1"),
    ),
)  # fmt: skip

DUB: Final = Template(
    key="dub",
    name="Dub commissions",
    version=1,
    expected_source_type="affiliate",
    source="The public source of dubinc/dub: commissions export, columns by id. Older versions wrote amounts in minor "
    "units, newer ones with the sign of their currency. Tick Partner ID when exporting.",
    signature=("id", "type", "amount", "earnings", "currency", "status"),
    timezone="UTC",
    types={"sale": "sale", "custom": "adjustment"},
    choices=(
        Choice(("type",), kept=frozenset({"sale", "custom"}), only=True),
        Choice(("status",), left_out=frozenset({"refunded", "duplicate", "canceled", "cancelled", "fraud"})),
    ),
    whole_numbers_are_minor_units=True,
    aliases={
        "external_revenue_id": ("id",),
        "transaction_date": ("createdAt", "Created at"),
        "amount": ("amount",),
        "currency": ("currency",),
        "revenue_type": ("type",),
        "payee_hint": ("partnerTenantId", "Partner tenant ID", "partnerId", "Partner ID", "partnerEmail"),
        "customer_id": ("customerExternalId", "Customer external ID", "customerId", "Customer ID"),
        "reason": ("description",),
        "metadata_invoice_id": ("invoiceId", "Invoice ID"),
        "metadata_quantity": ("quantity",),
    },
    sample=(
        ("id", "type", "amount", "earnings", "currency", "status", "invoiceId", "quantity", "createdAt", "partnerId"),
        ("cm_1", "sale", "$249.00", "$49.80", "usd", "paid", "inv_1", "1", "2026-05-31T10:00:00.000Z", "pn_1"),
    ),
)  # fmt: skip

TEMPLATES: Final[Mapping[str, Template]] = MappingProxyType(
    {
        template.key: template
        for template in (
            GENERIC,
            STRIPE,
            STRIPE_BALANCE,
            STRIPE_PAYMENTS,
            PADDLE,
            IMPACT,
            PARTNERSTACK,
            REWARDFUL,
            TAPFILIATE,
            DUB,
        )
    }
)
"""Key → template, in the order in which they are offered."""
