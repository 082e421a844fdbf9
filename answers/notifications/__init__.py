"""Notifications: which events a run brought, and what became of them."""
