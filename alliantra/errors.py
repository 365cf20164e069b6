"""Expected refusals: the exception, and the one catalogue of codes that code, docs and OpenAPI share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal: HTTP status, title, and what the reader can do about it."""

    status: int
    title: str
    remedy: str


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one place in a request. `pointer` is an RFC 6901 JSON pointer."""

    pointer: str
    code: str
    detail: str


PROBLEMS: Mapping[str, Problem] = {
    "malformed_json": Problem(400, "Malformed JSON", "Send one complete JSON document in UTF-8."),
    "invalid_encoding": Problem(400, "Not UTF-8", "Encode the body as UTF-8 without a byte order mark."),
    "duplicate_key": Problem(400, "Duplicate key in JSON", "Name each member of an object once."),
    "too_deep": Problem(400, "JSON nested too deeply", "Nest objects and arrays at most 32 levels deep."),
    "body_truncated": Problem(400, "Body shorter than announced", "Send as many bytes as Content-Length says."),
    "unknown_parameter": Problem(400, "Unknown query parameter", "Use the parameters listed for this path."),
    "invalid_parameter": Problem(400, "Invalid query parameter", "Send a value of the documented form, once."),
    "invalid_header": Problem(400, "Invalid header", "Send the header once, in the documented form."),
    "invalid_request": Problem(400, "Invalid request", "Send a well-formed HTTP request."),
    "not_authenticated": Problem(401, "Not authenticated", "Send Authorization: Bearer and a current API key."),
    "permission_denied": Problem(403, "Permission denied", "Use a key that has the permission named here."),
    "workspace_mismatch": Problem(403, "Key of another workspace", "Leave X-Workspace-ID out, or send the key's."),
    "network_not_allowed": Problem(403, "Network not allowed", "Call from a network that the key allows."),
    "not_found": Problem(404, "Not found", "Check the path and the id; it may belong to another workspace."),
    "method_not_allowed": Problem(405, "Method not allowed", "Use one of the methods in the Allow header."),
    "already_exists": Problem(409, "Already exists", "Use another external_id, or create_or_update."),
    "conflict": Problem(409, "Conflict with the current state", "Read the resource again and decide anew."),
    "import_not_ready": Problem(409, "Import cannot be confirmed", "Mend what stands under findings first."),
    "import_not_changeable": Problem(409, "Import no longer changeable", "Upload the file again."),
    "idempotency_in_progress": Problem(409, "Same request still running", "Wait, then send it again."),
    "rule_not_toggleable": Problem(409, "Rule is draft or archived", "Set its status to active or inactive instead."),
    "run_calculating": Problem(409, "Run still calculating", "Wait until it is calculated or failed."),
    "run_not_calculated": Problem(409, "Run not calculated", "Wait until the run's status is calculated."),
    "run_not_approved": Problem(409, "Run not approved", "Approve the run first."),
    "run_not_locked": Problem(409, "Run not locked", "Lock the run first; this follows from a closed one."),
    "run_locked": Problem(409, "Run locked", "A locked run never changes; corrections land in the next run."),
    "run_void": Problem(409, "Run void", "Start another run for the period."),
    "run_stale": Problem(409, "Run stale", "Recalculate it: another run was locked and took something of it."),
    "run_blocked": Problem(409, "Run blocked", "Clear the blockers of its readiness."),
    "self_approval": Problem(409, "Own calculation", "Let another person or key approve what this one calculated."),
    "payments_already_imported": Problem(409, "File already imported", "This run has this very file; send another."),
    "payout_closed": Problem(409, "Nothing to resolve", "What was paid is what was due, or it is resolved already."),
    "endpoint_disabled": Problem(409, "Endpoint disabled", "Enable the endpoint first."),
    "not_computed": Problem(409, "Not computed yet", "Forecasts are not computed yet; ask for another report."),
    "nothing_selected": Problem(409, "No open exception", "Name exceptions of the run that are still open."),
    "length_required": Problem(411, "Length required", "Send Content-Length; chunked bodies are not read."),
    "precondition_failed": Problem(412, "Changed in the meantime", "Read it again and send its new ETag."),
    "body_too_large": Problem(413, "Body too large", "Send less at once."),
    "uri_too_long": Problem(414, "Address too long", "Keep the path and the query under 4,096 characters."),
    "unsupported_media_type": Problem(415, "Unsupported media type", "Send application/json."),
    "invalid": Problem(422, "Invalid content", "Mend the places listed under errors."),
    "batch_limit": Problem(422, "Batch of the wrong size", "Send as many records as the limit allows, at least one."),
    "idempotency_key_reused": Problem(422, "Idempotency-Key reused", "Use a new key for another request."),
    "rate_limited": Problem(429, "Too many requests", "Wait as long as Retry-After says."),
    "internal_error": Problem(500, "Internal error", "Report the request id; it is our fault."),
    "unavailable": Problem(503, "Temporarily unavailable", "Try again after Retry-After seconds."),
}

FIELD_CODES: Mapping[str, str] = {
    "required": "The field must be sent.",
    "null": "The field may not be null.",
    "blank": "The text may not be empty.",
    "invalid": "The value is not of the documented form.",
    "invalid_type": "The JSON type is not the documented one.",
    "invalid_choice": "The value is not one of the documented ones.",
    "too_long": "The text or list is longer than allowed.",
    "too_short": "The list is shorter than allowed.",
    "out_of_range": "The number is outside the allowed range.",
    "unknown_field": "No such field is documented.",
    "read_only_field": "The field is set by the server.",
    "does_not_exist": "Nothing with this id or name exists in the workspace.",
    "already_exists": "Another record has this value.",
    "duplicate": "The same value stands twice in the request.",
    "amount_format": "A decimal with at most 14 digits before and 6 after the point, no exponent.",
    "amount_sign": "A sale is positive, a refund negative, an adjustment not zero.",
    "refund_of_refund": "What a refund names as its sale must be a sale.",
    "currency_mismatch": "A refund has the currency of its sale.",
    "rate_missing": "No exchange rate is recorded for the day, or for the days before it that would do.",
    "amount_required": "This kind of record needs an amount.",
    "unknown_currency": "Not an ISO 4217 currency code.",
    "timezone_required": "A time needs a date, a time of day and an offset, as 2026-05-31T10:00:00+00:00.",
    "invalid_time": "Not a valid ISO 8601 time between the years 1970 and 2200.",
    "unprintable": "The text contains a NUL or a character that is no Unicode scalar value.",
    "partner_not_found": "No partner has this id or external id.",
    "source_not_found": "No revenue source has this id or name.",
    "allocation_total": "The percentages may add up to at most 100.",
    "allocations_required": "At least one allocation is required.",
    "tier_order": "The bands of tiers begin at 0 and ascend.",
    "period_order": "The end must not lie before the start.",
    "metadata_limit": "At most 50 keys of 1 to 40 characters, values of at most 500 characters.",
    "malformed_json": "The record is not valid JSON.",
    "duplicate_key": "The record names a member twice.",
    "invalid_date": "Not a date or a time that can be read.",
    "ambiguous_date": "The day and the month could be either number: say date_order, dmy or mdy.",
    "ambiguous_amount": "The mark could be decimal or could part thousands: say decimal_separator.",
    "formula": "The cell holds a formula, not a value.",
    "extra_cells": "The row has more cells than the header has columns.",
    "currency_of_import": "The row is in another currency than the import.",
    "undated_refund": "The export says that something was refunded, but not when.",
    "missing_column": "No column of the file is mapped to this field.",
    "duplicate_column": "Two columns of the file have this name.",
    "target_scheme": "Messages are sent by https.",
    "target_credentials": "An address carries no user or password.",
    "target_fragment": "An address has no fragment.",
    "target_host": "The host is no name that can be looked up.",
    "target_port": "Ports are 443, or above 1023.",
    "target_address": "Messages may not be sent to this address.",
    "too_many": "There are as many as there may be.",
    "invalid_cron": "Not five fields of a cron expression, or no date ever fits it.",
    "unreadable_file": "The file cannot be read as a table.",
    "duplicate_reference": "A payment with this reference was imported before.",
    "duplicate_differs": "A row with this external id exists, and says something else.",
}


class DomainError(Exception):
    """A refusal the caller can understand. `code` stands in PROBLEMS; `members` join the problem document."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.code = code
        self.problem = PROBLEMS[code]
        self.detail = detail or self.problem.title
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = members
        super().__init__(self.detail)


class NotFound(DomainError):
    """Missing, or another workspace's: the answer does not tell which."""

    def __init__(self, detail: str = "No such resource in this workspace.") -> None:
        super().__init__("not_found", detail)


class Invalid(DomainError):
    """Readable but wrong: one or more places in the request, each with its code."""

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        super().__init__(
            "invalid", errors[0].detail if len(errors) == 1 else "Several fields are wrong.", errors=errors
        )

    @classmethod
    def field(cls, pointer: str, code: str, detail: str = "") -> "Invalid":
        """Refusal for a single place. `code` stands in FIELD_CODES."""
        return cls([FieldProblem(pointer, code, detail or FIELD_CODES[code])])
