"""A workspace that benchmarks work in, set up over the public surfaces."""

import json
from dataclasses import dataclass

from tests.benchmarks._stage import Stage, Web, post

PRODUCTS = [f"sku-{number}" for number in range(20)]
PARTNERS = [f"partner-{number}" for number in range(50)]


@dataclass(frozen=True)
class Tenant:
    """A workspace with partners and products, and what its rows refer to."""

    key: str
    workspace: str
    source: str
    partners: dict[str, str]
    products: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        """Credentials."""
        return {"Authorization": f"Bearer {self.key}"}


def tenant(made: Stage, web: Web, slug: str) -> Tenant:
    """Set up over the public surfaces; ids are read from the database."""
    made.manage("create_workspace", "--slug", slug, "--base-currency", "GBP", "--timezone", "Europe/London")
    key = made.manage("issue_api_key", "--workspace", slug, "--environment", "production", "--permissions", "all")
    [connection, *_] = web.connections()
    headers = {"Authorization": f"Bearer {key}"}
    partners = [{"external_id": name, "name": name, "channel": "affiliate", "program": "gold"} for name in PARTNERS]
    post(connection, "/v1/partners/import", json.dumps({"records": partners}).encode(), headers)
    products = [{"external_id": name, "name": name} for name in PRODUCTS]
    post(connection, "/api/v1/products/batch", json.dumps({"records": products}).encode(), headers)
    with made.connect() as database:
        [workspace] = database.execute(
            "SELECT id::text FROM workspaces_workspace WHERE slug = %s", [slug]
        ).fetchone() or [""]
        [source] = database.execute(
            "SELECT id::text FROM revenues_revenuesource WHERE workspace_id = %s", [workspace]
        ).fetchone() or [""]
        ids = "SELECT external_id, id::text FROM {} WHERE workspace_id = %s"
        found = [
            dict(database.execute(ids.format(table), [workspace]).fetchall())
            for table in ("partners_partner", "revenues_product")
        ]
    return Tenant(key, workspace, source, *found)
