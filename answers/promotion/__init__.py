"""Plans of promotions between tenants; nothing is written."""
