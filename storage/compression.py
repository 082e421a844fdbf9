"""Compression of stored documents: one zstd frame each, at level 1 (docs/decisions/0013-zstd.md)."""

from threading import local

from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError, frame_content_size

MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""Twice the largest answer that is read from Graph; a frame of a few KB may claim far more."""

_LEVEL = 1


class _OfThread(local):
    """Compressors are not thread-safe, and making one takes ten times as long as compressing a small document."""

    def __init__(self) -> None:
        self.compressor = ZstdCompressor(level=_LEVEL)
        self.decompressor = ZstdDecompressor()


_OF_THREAD = _OfThread()


def compress(document: bytes) -> bytes:
    """The frame states the document's size. Raises `ValueError` beyond `MAX_DOCUMENT_BYTES`."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"a document has at most {MAX_DOCUMENT_BYTES:,} bytes, not {len(document):,}")
    return _OF_THREAD.compressor.compress(document)


def decompress(frame: bytes) -> bytes:
    """Raises `ZstdError`, also if the frame states no size, or one beyond `MAX_DOCUMENT_BYTES`."""
    size = frame_content_size(frame)
    if not 0 <= size <= MAX_DOCUMENT_BYTES:
        raise ZstdError(f"a compressed document states {size} bytes, outside the limit of {MAX_DOCUMENT_BYTES}")
    return _OF_THREAD.decompressor.decompress(frame)
