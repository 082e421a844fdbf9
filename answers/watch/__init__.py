"""Watch of tenants' audit logs."""
