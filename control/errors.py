"""The error of a request that cannot be carried out."""

from inventory.user_errors import UserError


class RequestError(UserError):
    """The request cannot be carried out; the message says how it can."""
