"""Compares two tenants, or a golden one with many."""
