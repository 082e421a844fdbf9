"""Digests of documents without the parts of one tenant, for which most of a document need not be decoded.

Properties that may hold ids, hidden values or volatile values are decoded and made neutral; all others are hashed as
they are stored. Equal digests mean equal neutral documents. Different ones mean nothing: a list may only have another
order.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import orjson

from inventory.canonical import MIN_TELLING_ID_LENGTH, SENSITIVE_MARK, TYPE, JsonObject, encode, is_annotation
from inventory.exact_json import decode_object
from inventory.references import places_of_ids
from inventory.stale import Staleness
from inventory.tenant_neutral import NOT_SHOWN, NeutralDocument, Neutralizer, Translate

_SPLIT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class PartDocument(NamedTuple):
    """`document` has the decoded properties, `rest_hash` (SHA-256) covers the others. `details`: those of the document,
    also if empty.
    """

    document: JsonObject
    rest_hash: bytes
    details: frozenset[str]


class NeutralDigester:
    def __init__(self, neutralizer: Neutralizer) -> None:
        rules = neutralizer.rules
        names, kinds = places_of_ids(rules.references)
        by_type = [rule.partition("/") for rule in rules.identity | rules.masked if rule.startswith("#")]
        self._neutralizer = neutralizer
        # The type decides how all properties are treated.
        self._decoded = {TYPE, rules.id_field, *rules.alternate_keys, *names, *(name for _, _, name in by_type)}
        self._dropped = {rule.removeprefix("/") for rule in rules.identity if "/" not in rule[1:]}
        kinds_of_masked = {rule.partition("/")[0] for rule in rules.masked}
        self._signs = [encode(SENSITIVE_MARK), *NOT_SHOWN, *map(encode, kinds | kinds_of_masked)]

    def decoded(self, document: bytes, own_ids: Iterable[str]) -> PartDocument:
        """`document` is canonical JSON; `own_ids`: the ids of the object and its tenant."""
        parts = _SPLIT.decode(document)
        held = {name: parts[name] for name in parts.keys() & self._decoded}
        decoded = _object(held)
        rules = self._neutralizer.rules
        keys = (decoded.get(name) for name in (rules.id_field, *rules.alternate_keys))
        own = {*own_ids, *(key for key in keys if isinstance(key, str))}
        signs = [*self._signs, *(encode(key)[1:-1] for key in own if len(key) >= MIN_TELLING_ID_LENGTH)]
        signs = [sign for sign in signs if sign in document]
        telling: dict[str, msgspec.Raw] = {}
        rest = hashlib.sha256()
        for name, part in parts.items():
            if name in held or name in self._dropped or is_annotation(name):
                continue
            if any(sign in bytes(part) for sign in signs):
                telling[name] = part
            else:
                rest.update(b"%b:%b," % (orjson.dumps(name), bytes(part)))
        return PartDocument(
            decoded | _object(telling) if telling else decoded, rest.digest(), rules.details & parts.keys()
        )

    def of(
        self,
        partly: PartDocument,
        own_ids: Mapping[str, str],
        translate: Translate,
        *,
        details_complete: bool = True,
        stale: Staleness | None = None,
    ) -> NeutralDocument:
        """As `Neutralizer.of`, with a digest (SHA-256) as `canonical` and without `document`."""
        found = self._neutralizer.of(
            partly.document, own_ids, translate, details_complete=details_complete, stale=stale
        )
        digest = hashlib.sha256(partly.rest_hash + found.canonical).digest()
        return found._replace(document={}, canonical=digest, details=partly.details)


def _object(parts: Mapping[str, msgspec.Raw]) -> JsonObject:
    members = (orjson.dumps(name) + b":" + bytes(part) for name, part in parts.items())
    return decode_object(b"{" + b",".join(members) + b"}")
