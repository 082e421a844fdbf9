"""Sends notifications: targets, rules, the message, and a module for each kind of target.

Nothing here uses the database or Graph.
"""
