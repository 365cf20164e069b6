"""A report as a JSON file: what GET answers, less what only concerns the making of it."""

from typing import Any, Final

import msgspec

from reports.building import FIGURES, columns
from reports.models import Report

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def json_document(report: Report) -> bytes:
    """What was asked, how fresh it is, its rows and their totals, with the numbers of the API and the CSV."""
    names = columns(report.type, report.group_by)
    document: dict[str, Any] = {
        "id": report.pk,
        "report_type": report.type,
        "group_by": report.group_by,
        "period": f"{report.first_day},{report.last_day}",
        "currency": report.totals["currency"],
        "attribution_model": report.attribution_model,
        "filters": report.filters,
        "computed_at": report.computed_at,
        "covers_until": report.covers_until,
        "cost_as_of": report.cost_as_of,
        "rows": [{name: row[name] for name in names} for row in report.rows],
        "totals": {name: report.totals[name] for name in FIGURES},
    }
    return _ENCODER.encode(document)
