"""Plans of promotions between tenants, and the reasons that forbid them. Nothing is written."""
