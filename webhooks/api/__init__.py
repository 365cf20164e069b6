"""HTTP of webhook endpoints, their event types and deliveries."""
