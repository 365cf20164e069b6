"""HTTP of products, revenue sources, mappings and the ledger."""
