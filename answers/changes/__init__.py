"""Changes in a tenant, and their authors."""
