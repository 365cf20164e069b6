"""The console's pages for the ledger, its sources, products and product mappings."""

from revenues.admin import ledger, mappings, products

__all__ = ["ledger", "mappings", "products"]
