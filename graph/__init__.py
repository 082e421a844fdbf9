"""The Graph protocol, read-only: catalog, tenants, tokens, client, errors."""
