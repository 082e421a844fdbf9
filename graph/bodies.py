"""Answers' bodies, unpacked and parsed within bounds: a few bytes may stand for gigabytes."""

import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from graph.errors import AnswerTooLargeError
from inventory.exact_json import TooManyNumbersError, decode

PIECE_BYTES = 1024 * 1024

MOST_CONTAINERS = 500_000
"""Objects and arrays in one answer: three bytes of text may take 64 of memory and a microsecond."""

MOST_VALUES = 4_000_000
"""Values in one answer; real ones have some 3 million in 128 MiB."""

MOST_NUMBERS = 200_000
"""Numbers parsed digit by digit, which takes two microseconds each."""

CUT_DEPTH = 400
"""Deeper than stored documents, shallower than parsers' limits."""

_TOKEN = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)[^"\[\]{}]*+)++|[\[{]++|[\]}]++', re.DOTALL)
"""Strings with the text between them, or brackets. No byte is read twice, even of an unfinished string."""


class UnreadableBodyError(Exception):
    """A body that is incomplete, broken, or in a coding that was not requested."""


class Unpacking:
    """Unpacks a body in pieces, after any of which the caller can stop."""

    def __init__(self, codings: Sequence[str]) -> None:
        """`codings` are Content-Encoding's. Raises `UnreadableBodyError` unless they are gzip once, or none."""
        named = [coding.strip().lower() for coding in codings]
        if named not in ([], ["identity"], ["gzip"]):
            raise UnreadableBodyError("the answer is in a coding that was not asked for")
        self._gzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if named == ["gzip"] else None

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        """Yields at most `PIECE_BYTES` at a time. Raises `UnreadableBodyError`."""
        if self._gzip is None:
            yield packed
            return
        piece = b""
        # After a full piece, zlib may hold more output of the input that it has taken.
        while packed or len(piece) == PIECE_BYTES:
            if self._gzip.eof:
                if packed:
                    raise UnreadableBodyError("the answer goes on after its end")
                return
            try:
                piece = self._gzip.decompress(packed, PIECE_BYTES)
            except zlib.error:
                raise UnreadableBodyError("the answer is not gzip") from None
            packed = self._gzip.unconsumed_tail or self._gzip.unused_data
            yield piece

    def end(self) -> None:
        """Raises `UnreadableBodyError` if the body is incomplete."""
        if self._gzip is not None and not self._gzip.eof:
            raise UnreadableBodyError("the answer ends too early")


def parse(body: bytes | bytearray) -> Any:
    """The JSON value; None if the body is not JSON. Raises `AnswerTooLargeError`.

    If JSON is too deep for the parser, values deeper than `CUT_DEPTH` become null, so that one object spoils no page.
    """
    if has_too_many_values(body):
        raise AnswerTooLargeError
    for text in (body, None):
        try:
            return decode(cut_deep(body) if text is None else text, MOST_NUMBERS)
        except TooManyNumbersError:
            raise AnswerTooLargeError from None
        except (ValueError, RecursionError):
            continue
    return None


def has_too_many_values(body: bytes | bytearray) -> bool:
    """Estimates by brackets and commas, also those in strings."""
    if len(body) <= MOST_CONTAINERS:
        return False
    containers = body.count(b"[") + body.count(b"{")
    return containers > MOST_CONTAINERS or (len(body) > MOST_VALUES and containers + body.count(b",") > MOST_VALUES)


def cut_deep(body: bytes | bytearray) -> bytes:
    """The JSON text, with null for values deeper than `CUT_DEPTH`; empty if brackets do not match."""
    segments: list[bytes] = []
    depth, start = 0, 0
    for token in _TOKEN.finditer(body):
        begin, end = token.span()
        before = depth
        if body[begin] in b"[{":
            depth += end - begin
            if before <= CUT_DEPTH < depth:
                segments += (bytes(body[start : begin + CUT_DEPTH - before]), b"null")
        elif body[begin] in b"]}":
            depth -= end - begin
            if depth < 0:
                return b""
            if depth <= CUT_DEPTH < before:
                start = begin + before - CUT_DEPTH
    return b"".join((*segments, bytes(body[start:]))) if depth == 0 else b""
