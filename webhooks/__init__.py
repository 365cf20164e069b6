"""Endpoints, messages, deliveries and the sender: telling the outside what happened, and never losing it."""
