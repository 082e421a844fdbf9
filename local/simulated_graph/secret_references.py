"""References in place of secrets, which may differ at every read."""

import re

from local.simulated_graph.documents import made_id

_REFERENCES = re.compile(
    # An encrypted OMA setting's reference, and the token that stands for a settings-catalog secret.
    rb'("secretReferenceValueId":")([^"]+)(?=")|("value":")([^"]*)(?=","valueState":"encryptedValueToken")'
)
_MARKS = (b'"secretReferenceValueId":"', b'"encryptedValueToken"')


def reissued(body: bytes, reading: int) -> bytes:
    """The JSON body as read number `reading` shows it; 0 shows the tenant's own references."""
    # In bytes, since hostile content may be no JSON; most bodies have no secret.
    if reading == 0 or not any(mark in body for mark in _MARKS):
        return body
    return _REFERENCES.sub(lambda match: _reissued(match, reading), body)


def _reissued(match: re.Match[bytes], reading: int) -> bytes:
    start, held = match.group(1) or match.group(3), match.group(2) or match.group(4)
    return start + made_id(f"{held.decode(errors='replace')}/reading/{reading}").encode()
