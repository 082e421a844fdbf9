"""Errors for people: a mistake that a user can put right, in one line with the cause and the remedy.

These classes are apart from the modules that raise them, so a command can print such a line without loading all of
them.
"""


class UserError(ValueError):
    """The request or the configuration cannot be carried out as it is."""


class NeverReadError(UserError):
    """No completed run has read the subject of the question, so nothing can be said of it."""


class UnavailableError(Exception):
    """A server does not answer, or is not ready."""
