from inventory.user_errors import UserError


class RequestError(UserError):
    """A request cannot be carried out. The message says how it can."""
