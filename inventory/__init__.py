"""The rules of the inventory, pure: no I/O, no clock, no import of another package."""
