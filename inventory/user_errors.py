"""Errors for people: what a user can cause or put right, in one line that says what is wrong and what to do.

The classes are apart from those that raise them, so that a command ends with such a line without loading all of them.
"""


class UserError(ValueError):
    """The request or the configuration cannot be carried out as it is."""


class UnavailableError(Exception):
    """A server does not answer, or is not ready."""
