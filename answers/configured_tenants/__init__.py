"""The configured tenants, which administrators change if they are kept in the database."""
