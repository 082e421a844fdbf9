"""Loading modules that a command needs later than at its start."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Looks for no garbage while modules are loaded, and afterwards not among what they have made: it stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
