"""The health status of partners: what each should be, why, and what is written when it changes."""
