"""Imported first where all that follows is imports: the garbage collector finds none there, for a fifth of the time."""

import gc

gc.disable()
