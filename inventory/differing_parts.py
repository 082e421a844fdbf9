"""The parts in which two documents of an item differ. Only these need to be read to compare them."""

import msgspec
import orjson

from inventory.canonical import TYPE, JsonObject
from inventory.exact_json import decode_object
from inventory.secret_patterns import CONTEXT

_SPLIT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def differing_parts(before: bytes, after: bytes) -> tuple[JsonObject, JsonObject]:
    """Two canonical documents, without the properties that both have byte for byte.

    Equal properties may still be treated differently by the document's type, or by a property beside them that names a
    secret or has an annotation: whole documents if the types differ, and `CONTEXT` and annotations stay.
    """
    old, new = _SPLIT.decode(before), _SPLIT.decode(after)
    if old.get(TYPE) != new.get(TYPE):
        return decode_object(before), decode_object(after)
    same = {name for name, part in old.items() if part == new.get(name) and name not in CONTEXT and "@" not in name}
    return _read(old, same), _read(new, same)


def _read(parts: dict[str, msgspec.Raw], left_out: set[str]) -> JsonObject:
    members = (orjson.dumps(name) + b":" + bytes(part) for name, part in parts.items() if name not in left_out)
    return decode_object(b"{" + b",".join(members) + b"}")
