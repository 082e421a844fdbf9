from inventory.user_errors import UserError


class RequestError(UserError):
    """The message says how the request can be carried out."""
