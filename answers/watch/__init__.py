"""Watch: how far tenants' audit logs were followed."""
