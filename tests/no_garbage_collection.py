"""Imported before many other modules: the garbage collector would find nothing, for a fifth of the time."""

import gc

gc.disable()
