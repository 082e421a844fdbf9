"""The messages between workflows and activities: one model in, one model out; no document, no item's name, no token.

Only add fields, with a default: a running workflow may still send yesterday's.
"""
