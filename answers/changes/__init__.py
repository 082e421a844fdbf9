"""Changes in a tenant: appeared, changed, renamed, missing and returned items, and their authors."""
