"""Payout rules, the engine that applies them, and the calculation runs that pin its results."""
