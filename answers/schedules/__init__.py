"""Schedules: when which tenants are read."""
