"""The rules of the inventory, pure: no I/O, no clock, and no import of the project's other packages."""
