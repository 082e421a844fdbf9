"""The catalog: what can be read from Graph, and how. The entries are data, one TOML table a collection."""

from graph.catalog.loading import Catalog, UnknownCategoryError, load_catalog
from graph.catalog.model import ApiVersion, Collection, DetailCall, ThrottleFamily

__all__ = [
    "ApiVersion",
    "Catalog",
    "Collection",
    "DetailCall",
    "ThrottleFamily",
    "UnknownCategoryError",
    "load_catalog",
]
