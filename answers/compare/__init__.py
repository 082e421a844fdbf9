"""Differences of two tenants, or of many and a golden one."""
