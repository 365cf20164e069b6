"""HTTP views of rules and calculation runs."""
