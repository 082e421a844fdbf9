"""Documents at rest: zstd, a frame each.

The lowest level: of documents of a few KB the higher ones save nothing, and take longer (`docs/benchmarks.md`).
"""

from threading import local

from zstandard import ZstdCompressor, ZstdDecompressor

_LEVEL = 1


class _OfThread(local):
    """Neither may be used by two threads at once, and making one takes ten times as long as a small document."""

    def __init__(self) -> None:
        self.compressor = ZstdCompressor(level=_LEVEL)
        self.decompressor = ZstdDecompressor()


_OF_THREAD = _OfThread()


def compress(document: bytes) -> bytes:
    """The frame of a document. It tells the size, so `decompress` needs no limit of its own."""
    return _OF_THREAD.compressor.compress(document)


def decompress(frame: bytes) -> bytes:
    """The document of a frame."""
    return _OF_THREAD.decompressor.decompress(frame)
