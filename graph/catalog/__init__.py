"""The catalog: the collections to read, and how."""

from graph.catalog.detail_calls import ChildCall, DetailCall
from graph.catalog.entries import Catalog, UnknownCategoryError, load_catalog
from graph.catalog.fields import AUDIT_EVENTS, DIRECTORY_AUDITS, ApiVersion, ThrottleFamily
from graph.catalog.item_titles import has_names, item_title, kind_of_one
from graph.catalog.kinds import kind_fields, kind_of, kinds_in
from graph.catalog.model import Collection
from graph.catalog.write_rules import unpublished_requests, write_rules

__all__ = [
    "AUDIT_EVENTS",
    "DIRECTORY_AUDITS",
    "ApiVersion",
    "Catalog",
    "ChildCall",
    "Collection",
    "DetailCall",
    "ThrottleFamily",
    "UnknownCategoryError",
    "has_names",
    "item_title",
    "kind_fields",
    "kind_of",
    "kind_of_one",
    "kinds_in",
    "load_catalog",
    "unpublished_requests",
    "write_rules",
]
