"""Files as people upload them, and the upload itself."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from revenues.imports import importing
from tests.http import ApiClient

IMPORTS = "/api/v1/imports"
HEADER = ["external_revenue_id", "transaction_date", "amount", "currency"]


def csv_bytes(
    *rows: Sequence[Any], header: Sequence[str] = HEADER, delimiter: str = ",", encoding: str = "utf-8"
) -> bytes:
    """A CSV file."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([header, *rows])
    return text.getvalue().encode()


def row(number: int, amount: Any = "10.00", **values: Any) -> list[Any]:
    """A sale in pounds."""
    return [f"inv-{number}", values.get("date", "2026-05-15T12:00:00+00:00"), amount, values.get("currency", "GBP")]


def xlsx_bytes(*rows: Sequence[Any], header: Sequence[str] = HEADER) -> bytes:
    """A workbook of one sheet."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for cells in (header, *rows):
        sheet.append([cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell for cell in cells])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def upload(api: ApiClient, content: bytes, name: str = "revenue.csv", **fields: Any) -> Any:
    """The answer to an upload."""
    body = encode_multipart(BOUNDARY, {"file": SimpleUploadedFile(name, content), **fields})
    return api.send(IMPORTS, body, content_type=MULTIPART_CONTENT)


def uploaded(api: ApiClient, content: bytes, name: str = "revenue.csv", **fields: Any) -> dict[str, Any]:
    """The preview of an upload that must be taken."""
    answer = upload(api, content, name, **fields)
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()["data"]
    return data


def imported(api: ApiClient, batch: dict[str, Any]) -> dict[str, Any]:
    """The receipt of an import that is confirmed, and worked on here and now."""
    answer = api.post(f"{IMPORTS}/{batch['id']}/confirm")
    assert answer.status_code == 200, answer.content
    importing.sweep()
    data: dict[str, Any] = api.get(f"{IMPORTS}/{batch['id']}").json()["data"]
    return data


def problems_of(batch: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Row, column and code of the problems that an import shows."""
    return [(problem["row"], problem["column"], problem["code"]) for problem in batch["problems"]]
