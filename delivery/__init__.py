"""Notifications on their way out: the file that names targets and rules, the message, and one module for each kind of
target. It knows neither the database nor Graph.
"""
