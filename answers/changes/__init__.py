"""What appeared, changed and went in a tenant, and when."""
