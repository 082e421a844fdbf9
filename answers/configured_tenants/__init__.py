"""Configured tenants; administrators change those in the database."""
