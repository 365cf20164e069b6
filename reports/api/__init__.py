"""HTTP views of reports."""
