"""Notifications: a run's events, and what became of them."""
