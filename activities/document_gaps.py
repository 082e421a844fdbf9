"""Documents whose unread details come from the items' last versions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from graph.details import DetailReading
from inventory.document_parts import DetailPlace, value_at
from inventory.error_codes import ErrorCode
from inventory.exact_json import JsonObject, decode
from inventory.stale import StalePart
from storage.details import LastVersion

NOT_THERE = ErrorCode.GRAPH_NOT_FOUND


class DetailedDocument(NamedTuple):
    """`stale` parts have the content of the last version."""

    document: JsonObject
    stale: Sequence[StalePart] = ()


def completed(reading: DetailReading, last: LastVersion | None) -> DetailedDocument | None:
    """The document of an item that is read to its end. None if a failure leaves a gap and the last version is damaged.

    A detail that Graph now denies is gone once a second run is told the same.
    """
    last_document: Any = {} if last is None or last.document is None else decode(last.document)
    denied = [part.place for part in (() if last is None else last.stale) if part.error_code is NOT_THERE]
    for place in reading.absent:
        if value_at(last_document, place) and place not in denied:
            reading.doubt(place)
    if reading.is_whole:
        return DetailedDocument(reading.whole())
    lacked = set(reading.unread_places)
    if last is not None and last.document is not None:
        lacked = {DetailPlace(*part.place) for part in last.lacked}
    elif last is not None and last.version_number > 0 and not all(map(reading.is_answer, reading.unread)):
        return None
    document, lacking = reading.partial(last_document, lacked)
    before = {} if last is None else {DetailPlace(*part.place): part.read_at for part in last.stale}
    as_of = None if last is None else last.as_of
    stale = [
        StalePart(
            detail=place.property,
            member_detail=place.child_property,
            member_id=place.child_id,
            member_name=unread.member_name,
            error_code=unread.code,
            http_status=unread.http_status,
            read_at=None if place in lacking else before.get(place) or as_of,
        )
        for place, unread in reading.stale(lacking)
    ]
    return DetailedDocument(document, stale)
