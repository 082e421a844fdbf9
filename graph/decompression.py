"""The body of an answer, decompressed no further than it may grow."""

import zlib
from collections.abc import AsyncIterator

import httpx

STEP_BYTES = 1024 * 1024
"""What is decompressed at once: a kilobyte may become a megabyte."""

GZIP = 16 + zlib.MAX_WBITS


class CodingError(ValueError):
    """The body is in a coding that was not asked for, or is not in the one that it says."""


async def decoded(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body's bytes in parts of at most `STEP_BYTES`, as they are or by gzip once. Raises `CodingError`."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        async for chunk in response.aiter_raw(STEP_BYTES):
            yield chunk
        return
    if coding != "gzip":
        raise CodingError
    decompressor = zlib.decompressobj(GZIP)
    try:
        async for chunk in response.aiter_raw():
            part = decompressor.decompress(chunk, STEP_BYTES)
            yield part
            while decompressor.unconsumed_tail or len(part) == STEP_BYTES:
                part = decompressor.decompress(decompressor.unconsumed_tail, STEP_BYTES)
                yield part
            if decompressor.unused_data:
                raise CodingError
    except zlib.error:
        raise CodingError from None
    if not decompressor.eof:
        raise CodingError
