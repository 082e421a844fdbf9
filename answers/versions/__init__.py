"""The versions of an item, one of them whole, and two of them compared."""
