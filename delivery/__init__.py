"""Targets, rules, the message, and a module for each kind of target, without database and Graph."""
