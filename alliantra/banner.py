"""What `make run` prints once everything is up: where it is, who may sign in, and requests that work."""

import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path


def banner(address: str, data_dir: Path, *, demo: bool) -> str:
    """Everything a first look needs: address, people, key, two requests that work, how to stop."""
    path = data_dir / "credentials.json"
    lines = ["", f"  Alliantra runs at {address}", f"  Console:    {address}/admin/"]
    if demo and path.exists():
        lines += _demo_lines(address, json.loads(path.read_text(encoding="utf-8")), path)
    else:
        lines += _empty_lines(data_dir)
    return "\n".join([*lines, "", "  Ctrl-C stops everything.", ""])


def _demo_lines(address: str, credentials: dict[str, str], path: Path) -> list[str]:
    revenue = {
        "external_id": "first-1",
        "partner_external_id": credentials["partner"],
        "external_product_identifier": "sku_annual_pro",
        "type": "sale",
        "amount": "249.00",
        "currency": "GBP",
    }
    key = credentials["api_key"]
    return [
        f"  User:       {credentials['user']}    password: {credentials['password']}",
        f"  Approver:   {credentials['approver_user']}    password: {credentials['approver_password']}",
        f"  API key:    {key}",
        f"              (all of this is kept in {path}, which only you can read)",
        "",
        "  Record revenue:",
        *_curl(f"{address}/api/v1/revenues", key, revenue),
        "",
        "  Calculate what is owed for this month:",
        *_curl(f"{address}/api/v1/calculation-runs", key, _this_month()),
        "",
        "  See what each payee gets, with the id that this answered:",
        f'    curl -H "Authorization: Bearer {key}" \\',
        f"      {address}/api/v1/calculation-runs/RUN_ID/payees",
    ]


def _this_month() -> dict[str, str]:
    today = datetime.now(UTC).date()
    first = today.replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return {"period_start": str(first), "period_end": str(last), "currency": "GBP"}


def _curl(url: str, key: str, body: dict[str, str]) -> list[str]:
    return [
        f"    curl -X POST {url} \\",
        f'      -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\',
        f"      -d '{json.dumps(body)}'",
    ]


def _empty_lines(data_dir: Path) -> list[str]:
    manage = f"DATA_DIR={shlex.quote(str(data_dir))} .venv/bin/python manage.py"
    return [
        "",
        "  Make a workspace, then a key for it:",
        f"    {manage} create_workspace --slug acme --environment production \\",
        "      --base-currency GBP --timezone Europe/London",
        f"    {manage} issue_api_key --workspace acme --environment production --permissions all",
    ]
