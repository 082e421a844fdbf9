"""Errors that a user can put right, in one line. Commands load them alone."""


class UserError(ValueError):
    """The request or configuration cannot be carried out."""


class NeverReadError(UserError):
    """No completed run has read the subject of the question."""


class NotHereError(UserError):
    """There is nothing of this name or id, or not for this person."""


class UnavailableError(Exception):
    """A server does not answer, or is not ready."""
