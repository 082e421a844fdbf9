"""A full disk, for calls that a test replaces."""

import errno
import os
from typing import NoReturn


def no_room(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
