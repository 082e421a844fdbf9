"""Errors that a user can put right: one line with cause and remedy.

Apart from the modules that raise them, so that commands print them without loading all of those.
"""


class UserError(ValueError):
    """The request or configuration cannot be carried out."""


class NeverReadError(UserError):
    """No completed run has read the subject of the question."""


class NotHereError(UserError):
    """There is nothing of this name or id, or not for this person."""


class UnavailableError(Exception):
    """A server does not answer, or is not ready."""
