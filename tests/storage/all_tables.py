"""The metadata of all tables."""

from importlib import import_module
from pkgutil import iter_modules

import answers.drift.tables
import answers.promotion.tables  # noqa: F401 - completes the metadata
import storage.models
from storage.models.base import Base

for found in iter_modules(storage.models.__path__):
    import_module(f"storage.models.{found.name}")

METADATA = Base.metadata
