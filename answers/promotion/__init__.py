"""Plans of promotions between tenants. Nothing is written to Graph."""
