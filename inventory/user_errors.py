"""Errors that a user can put right, with messages of one line."""


class UserError(ValueError):
    """The request or configuration cannot be carried out."""


class NeverReadError(UserError):
    """No completed run has read the subject of the question."""


class NotHereError(UserError):
    """Nothing has this name or id, or the person may not see it."""


class UnavailableError(Exception):
    """A server does not answer, or is not ready."""
