"""The append-only revenue ledger: sources, products, ingestion and rollups."""
