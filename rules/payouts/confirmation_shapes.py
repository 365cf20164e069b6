"""The files that say what was really paid, as data: a generic one, and what PayPal and Wise export; pure.

Neither provider publishes its export column by column. Each shape says where its columns are described;
its names are compared without case and punctuation, so that `Payout Item ID` and `payout_item_id` are one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from revenues.imports.templates import normalised

AUTO: Final = "auto"
"""What is said for a shape that is to be found by the header."""

Signs = Literal["refused", "uniform", "outgoing"]
"""What an amount below zero means: an error; money going out, if no row of the file is above zero, and else an
error; or money going out, and then every row above zero is money that came in."""

PAID: Final = frozenset({
    "cleared", "complete", "completed", "done", "executed", "outgoing_payment_sent", "paid", "paid_out", "sent",
    "settled", "succeeded", "success", "successful",
})  # fmt: skip
"""Words for a payment that was made."""
UNPAID: Final = frozenset({
    "blocked", "bounced", "bounced_back", "canceled", "cancelled", "charged_back", "created", "declined", "denied",
    "draft", "error", "expired", "failed", "failure", "funds_converted", "funds_refunded", "held", "hold",
    "in_progress", "incoming_payment_initiated", "incoming_payment_waiting", "initiated", "new", "not_paid",
    "on_hold", "onhold", "partially_refunded", "pending", "processing", "queued", "refunded", "rejected", "removed",
    "returned", "reversed", "scheduled", "skipped", "to_be_paid", "unclaimed", "unpaid", "void", "voided",
    "waiting", "waiting_for_approval",
})  # fmt: skip
"""Words for a payment that was not made, not yet made, or taken back."""


class UnknownConfirmationShape(ValueError):
    """The header is that of no known file. `missing` says for each shape that was tried which columns it lacks."""

    def __init__(self, missing: Mapping[str, tuple[str, ...]], message: str = "") -> None:
        self.missing = missing
        lacking = "; ".join(f"{key} needs {', '.join(columns)}" for key, columns in missing.items())
        super().__init__(message or f"The file has not all columns of a known shape: {lacking}.")


class Layout(NamedTuple):
    """Where a file has what a shape speaks of: field → column, and the columns that identify payees, best first."""

    columns: Mapping[str, str]
    identifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of file. Of several names for a field the first that the file has is taken."""

    key: str
    name: str
    source: str
    """Where the columns are described."""
    identified_by: tuple[str, ...]
    """Names of columns of which the file must have one."""
    identifiers: tuple[tuple[str, ...], ...]
    """What may identify the payee, best first; each with its names."""
    columns: Mapping[str, tuple[str, ...]]
    """Field → its names."""
    required: tuple[str, ...]
    """Fields that the file must have, and each row that counts."""
    signs: Signs
    only_best_identifier: bool = False
    """Whether what stands behind the best identifier of a row is left alone: a known id is not doubted by a name."""
    outward: frozenset[str] = frozenset()
    """Words of the direction for money going out; any other word is not a payout."""
    other_kinds: frozenset[str] = frozenset()
    """Words in a row's kind that make it something else than a payout."""
    is_plain: bool = False
    """Whether amounts are plain decimals, not what people write."""

    def missing(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Columns without which a file is not of this shape, by their first name."""
        names = {normalised(column) for column in columns}

        def has(alternatives: Iterable[str]) -> bool:
            return any(normalised(name) in names for name in alternatives)

        needed = (self.identified_by, *(self.columns[field] for field in self.required))
        return tuple(alternatives[0] for alternatives in needed if not has(alternatives))

    def layout(self, columns: Iterable[str]) -> Layout:
        """Where a file with this header has what."""
        by_name: dict[str, str] = {}
        for column in columns:
            by_name.setdefault(normalised(column), column)

        def column_of(names: Iterable[str]) -> str | None:
            return next((by_name[normalised(name)] for name in names if normalised(name) in by_name), None)

        found = {field: column_of(names) for field, names in self.columns.items()}
        identifiers = [column_of(names) for names in self.identifiers]
        return Layout(
            {field: column for field, column in found.items() if column is not None},
            tuple(column for column in identifiers if column is not None),
        )


_PAYEE: Final = ("payee_external_id", "payee_id")
"""Our own key, which people may add to any file."""

GENERIC: Final = Shape(
    key="generic",
    name="Generic file",
    source="The columns of this product's own reference and of its payout export.",
    identified_by=("payee_external_id", "payee_id", "payee"),
    identifiers=(("payee_external_id",), ("payee_id",), ("payee",), ("payee_name",)),
    columns={
        "payee_name": ("payee_name",),
        "currency": ("currency", "currency_code"),
        "amount": ("amount_paid", "paid_amount", "amount", "amount_due"),
        "reference": ("reference", "payment_reference", "transaction_id", "payout_id"),
        "paid_at": ("paid_at", "paid_on", "payment_date", "date"),
        "status": ("status",),
    },
    required=("currency", "amount"),
    signs="uniform",
    only_best_identifier=True,
)

RECORDS: Final = Shape(
    key="records",
    name="Records in JSON",
    source="The fields of this product's own reference.",
    identified_by=_PAYEE,
    identifiers=(("payee_external_id",), ("payee_id",)),
    columns={
        "payee_name": ("payee_name",),
        "currency": ("currency",),
        "amount": ("amount",),
        "reference": ("reference",),
        "paid_at": ("paid_at",),
        "status": ("status",),
    },
    required=("currency", "amount"),
    signs="refused",
    only_best_identifier=True,
    is_plain=True,
)

_UNIQUE: Final = ("Unique ID", "Sender Item ID")
_RECIPIENT: Final = ("Recipient", "Recipient Email", "Recipient Identifier", "Receiver", "To Email Address")

PAYPAL_PAYOUTS: Final = Shape(
    key="paypal",
    name="PayPal payouts, one row for each item",
    source=(
        "The items of a payout with their statuses: "
        "https://developer.paypal.com/payouts/use-payouts/track-payout-item-status and "
        "https://developer.paypal.com/api/payments.payouts-batch/v1/definitions/payout_batch_items. "
        "Of the file that the website offers under Mass Payment Details PayPal describes no columns: the names here "
        "are those of the items' fields."
    ),
    identified_by=(*_UNIQUE, *_RECIPIENT),
    identifiers=(_PAYEE, _UNIQUE, _RECIPIENT),
    columns={
        "payee_name": ("Recipient Name", "Name"),
        "currency": ("Currency", "Currency Code", "Amount Currency"),
        "amount": ("Gross", "Gross Amount", "Amount", "Payout Amount", "Amount Value"),
        "reference": ("Transaction ID", "Payout Item ID"),
        "paid_at": ("Time Processed", "Processed Date", "Date", "Transaction Date"),
        "time": ("Time",),
        "zone": ("TimeZone", "Time Zone"),
        "status": ("Transaction Status", "Status", "Payout Status"),
        "direction": ("Balance Impact",),
        "kind": ("Type",),
    },
    required=("currency", "amount", "reference", "status"),
    signs="outgoing",
    outward=frozenset({"debit"}),
    other_kinds=frozenset({"reversal", "refund", "fee", "fees"}),
)

PAYPAL_ACTIVITY: Final = Shape(
    key="paypal",
    name="PayPal activity download",
    source=(
        "The columns of the activity download: https://gist.github.com/Nullreff/409f7d6d8ca82ae004cbf31cff25df62; "
        "its statuses: https://developer.paypal.com/reports/reference/changed-fields; Balance Impact and signs: "
        "https://developer.paypal.com/api/nvp-soap/paypal-payments-standard/admin/download-history; that payouts are "
        "in it: https://developer.paypal.com/docs/payouts/standard/reports/view-transaction-activities."
    ),
    identified_by=("To Email Address",),
    identifiers=(_PAYEE, _UNIQUE, ("To Email Address",)),
    columns={
        "payee_name": ("Name",),
        "currency": ("Currency",),
        "amount": ("Gross",),
        "reference": ("Transaction ID",),
        "paid_at": ("Date",),
        "time": ("Time",),
        "zone": ("TimeZone", "Time Zone"),
        "status": ("Status",),
        "direction": ("Balance Impact",),
        "kind": ("Type",),
    },
    required=("currency", "amount", "reference", "status", "paid_at", "kind"),
    signs="outgoing",
    outward=frozenset({"debit"}),
    other_kinds=frozenset({
        "authorization", "chargeback", "conversion", "correction", "deposit", "fee", "fees", "hold", "refund",
        "release", "reversal", "withdrawal",
    }),
)  # fmt: skip

WISE: Final = Shape(
    key="wise",
    name="Wise transaction history",
    source=(
        "The columns as importers of the export read them: https://github.com/fdavies93/seneca and "
        "https://gist.github.com/dadatuputi/b961882b8c8535aa30aacbdc446219c4; statuses of transfers: "
        "https://docs.wise.com/guides/product/send-money/tracking/transfer-statuses. Wise describes no columns. Its "
        "balance statement is another file, whose amounts include Wise's fees: it is not read."
    ),
    identified_by=("Target name",),
    identifiers=(_PAYEE, ("Reference", "Payment reference"), ("Target name",)),
    columns={
        "payee_name": ("Target name",),
        "currency": ("Target currency",),
        "amount": ("Target amount (after fees)", "Target amount"),
        "reference": ("ID", "TransferWise ID", "Transfer ID"),
        "paid_at": ("Finished on", "Created on"),
        "status": ("Status",),
        "direction": ("Direction",),
        "kind": ("ID",),
    },
    required=("currency", "amount", "reference", "status", "direction"),
    signs="uniform",
    outward=frozenset({"out"}),
    other_kinds=frozenset({"card"}),
)

SHAPES: Final = (PAYPAL_ACTIVITY, PAYPAL_PAYOUTS, WISE, GENERIC)
SHAPE_KEYS: Final = tuple(dict.fromkeys(shape.key for shape in reversed(SHAPES)))
"""What may be said for a shape, besides `auto`."""


def detect(columns: Sequence[str], key: str = AUTO) -> Shape:
    """The shape with the most required columns of those that have all of theirs; with `key` only those of that name.

    Raises UnknownConfirmationShape.
    """
    tried = [shape for shape in SHAPES if key in {AUTO, shape.key}]
    if not tried:
        raise UnknownConfirmationShape({}, f"No shape is called {key[:50]!r}. Known: {', '.join(SHAPE_KEYS)}.")
    missing = [(shape.missing(columns), shape) for shape in tried]
    fitting = [shape for lacking, shape in missing if not lacking]
    if fitting:
        return max(fitting, key=lambda shape: len(shape.required))
    nearest: dict[str, tuple[str, ...]] = {}
    for lacking, shape in sorted(missing, key=lambda pair: len(pair[0])):
        nearest.setdefault(shape.key, lacking)
    raise UnknownConfirmationShape(nearest)
