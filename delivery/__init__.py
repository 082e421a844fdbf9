"""Notifications on their way out: targets and rules, the message, and a module for each kind of target; neither the
database nor Graph.
"""
