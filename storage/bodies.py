"""Stored documents, checked when read: a body that does not match its hash is damaged."""

from hashlib import sha256

from zstandard import ZstdError

from inventory.records import DamagedRecord
from inventory.user_errors import UnavailableError
from storage.compression import decompress

BODY = "body, coalesce(body_hash, content_hash) AS body_hash, body_hash IS NULL AS is_sorted"
"""Columns to read from `document`. `is_sorted`: it is of normal form 0."""

DOCUMENTS_AT_A_TIME = 20
"""Documents held by a streamed answer; some have megabytes."""


class DamagedDocumentError(UnavailableError):
    def __init__(self, record: DamagedRecord) -> None:
        super().__init__(f"{record.in_words}; restore the database's table `document` from a backup")
        self.record = record


def document_of(body: bytes, body_hash: bytes, type_key: str, external_id: str, version: int) -> bytes:
    """Returns canonical JSON. Raises `DamagedDocumentError`."""
    try:
        document = decompress(body)
    except ZstdError:
        document = None
    if document is None or sha256(document).digest() != bytes(body_hash):
        raise DamagedDocumentError(DamagedRecord(type_key=type_key, external_id=external_id, version=version))
    return document


class Documents:
    """Reads the documents of an answer, and notes damaged ones."""

    def __init__(self) -> None:
        self.damaged: list[DamagedRecord] = []

    def of(self, body: bytes | None, body_hash: bytes, type_key: str, external_id: str, version: int) -> bytes | None:
        """Canonical JSON; None if there is no body or it is damaged."""
        if body is None:
            return None
        try:
            return document_of(body, body_hash, type_key, external_id, version)
        except DamagedDocumentError as error:
            self.damaged.append(error.record)
            return None
