"""The delivery of notifications, with a module for each kind of target."""
