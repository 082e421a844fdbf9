"""An item's versions: one whole, two compared."""
