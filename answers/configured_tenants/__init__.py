"""Which tenants are configured, and, where they are kept in the database, their change by administrators."""
