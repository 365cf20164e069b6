"""Reports, schedules and the intelligence above the ledger: scoring, forecasting, anomalies, recommendations."""
