"""Configured tenants, and their change by administrators if they are in the database."""
