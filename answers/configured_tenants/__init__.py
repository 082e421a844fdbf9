"""Configured tenants; administrators change them if the database keeps them."""
