"""The console's pages for the ledger, its sources and imports, products and product mappings."""

from revenues.admin import imports, ledger, mappings, products

__all__ = ["imports", "ledger", "mappings", "products"]
