"""`search`, `settings`: items by name or setting, and tenants' settings."""
