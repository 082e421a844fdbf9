"""Watch: how far the audit logs of tenants were followed."""
