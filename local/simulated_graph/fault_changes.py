"""Faults that change the usual answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from local.simulated_graph.documents import made_id
from local.simulated_graph.endpoints import ENDPOINTS
from local.simulated_graph.faults import Fault, FaultKind
from local.simulated_graph.messages import Answer, GraphRequest, Kind

_ELSEWHERE = "https://evil.example"
_MODIFIED = ("lastModifiedDateTime", "modifiedDateTime")
_UNORDERED = ("assignments", "roleScopeTagIds")

_Body = dict[str, Any]


class Read(Protocol):
    """Reads a page `shift` rows later, or as another tenant."""

    def __call__(self, request: GraphRequest, *, shift: int = 0, other_tenant: bool = False) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Change:
    """An answer to change, and its request."""

    request: GraphRequest
    answer: Answer
    base_url: str
    read: Read

    def apply(self, fault: Fault) -> Answer | None:
        """The answer with the fault; None if the fault cannot happen here."""
        change = _CHANGES.get(fault.kind)
        if change is None or self.answer.status != 200 or not self.answer.body:
            return None
        return change(fault, self)

    def body(self) -> _Body | None:
        return _body(self.answer)

    def with_body(self, body: Any) -> Answer:
        return replace(self.answer, body=orjson.dumps(body))


def _body(answer: Answer) -> _Body | None:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


_Apply = Callable[[Fault, Change], Answer | None]


def _truncated(_: Fault, change: Change) -> Answer:
    cut = change.answer.body[: len(change.answer.body) // 2]
    if change.request.kind is Kind.INNER:
        # Cut JSON would break the batch around it, so it becomes a string.
        cut = orjson.dumps(cut.decode(errors="replace"))
    return replace(change.answer, body=cut)


def _no_value(_: Fault, change: Change) -> Answer | None:
    body = change.body()
    if body is None or not isinstance(body.pop("value", None), list):
        # The `value` of one object, such as a picture, is content.
        return None
    return change.with_body(body)


def _linked(to: Callable[[Fault, Change, str], str | None]) -> _Apply:
    def apply(fault: Fault, change: Change) -> Answer | None:
        body = change.body()
        if body is None or "@odata.nextLink" not in body:
            return None
        link = to(fault, change, body["@odata.nextLink"])
        return None if link is None else change.with_body({**body, "@odata.nextLink": link})

    return apply


def _to_itself(_fault: Fault, change: Change, _link: str) -> str:
    query = f"?{change.request.query}" if change.request.query else ""
    return f"{change.base_url}{quote(change.request.path)}{query}"


def _to_other_tenant(_fault: Fault, change: Change, _link: str) -> str | None:
    options = [option for option in change.request.query.split("&") if not option.startswith("$skiptoken=")]
    first_page = replace(change.request, query="&".join(options))
    body = _body(change.read(first_page, other_tenant=True)) or {}
    link: str | None = body.get("@odata.nextLink")
    return link


def _to_other_version(_fault: Fault, change: Change, link: str) -> str:
    version = change.request.path.split("/")[1]
    other = "v1.0" if version == "beta" else "beta"
    return link.replace(f"{change.base_url}/{version}/", f"{change.base_url}/{other}/", 1)


def _shifted(rows: int) -> _Apply:
    def apply(_: Fault, change: Change) -> Answer | None:
        before = change.body()
        if "$skiptoken=" not in change.request.query or before is None:
            return None
        answer = change.read(change.request, shift=rows)
        after = _body(answer)
        differs = answer.status == 200 and after is not None and after.get("value") != before.get("value")
        return answer if differs else None

    return apply


def _objects(body: _Body) -> list[_Body]:
    value = body.get("value")
    return [member for member in value if isinstance(member, dict)] if isinstance(value, list) else [body]


def _noise(_: Fault, change: Change) -> Answer | None:
    body = change.body()
    if body is None or not (objects := _objects(body)):
        return None
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "0Z")
    for document in objects:
        for name in _MODIFIED:
            if name in document:
                document[name] = now
        if _has_entity_tag(change.request.path):
            document["version"] = f'"{made_id(str(document.get("version")))}"'
        _reverse(document)
        document["@odata.editLink"] = f"simulated('{document.get('id')}')"
        document["noise@odata.context"] = f"{change.base_url}/beta/$metadata#noise({change.request.request_id})"
    return change.with_body(body)


def _has_entity_tag(path: str) -> bool:
    """Whether objects at the path have a tag as version, not a count of edits."""
    segments = path.strip("/").split("/")[1:]
    endpoint = ENDPOINTS.get("/".join(segments)) or ENDPOINTS.get("/".join(segments[:-1]))
    return endpoint is not None and isinstance(endpoint.first_version, str)


def _reverse(value: Any) -> None:
    """Reverses arrays without meaningful order, at any depth."""
    if isinstance(value, list):
        for member in value:
            _reverse(member)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in _UNORDERED and isinstance(member, list):
                member.reverse()
            _reverse(member)


def _unknown_properties(_: Fault, change: Change) -> Answer | None:
    body = change.body()
    if body is None or not (objects := _objects(body)):
        return None
    for document in objects:
        document["simulatedNewProperty"] = {"isNew": True}
    return change.with_body(body)


def _missing_response(_: Fault, change: Change) -> Answer | None:
    body = change.body()
    return None if body is None else change.with_body({"responses": body["responses"][:-1]})


def _duplicate_response(_: Fault, change: Change) -> Answer | None:
    body = change.body()
    if body is None or not body["responses"]:
        return None
    return change.with_body({"responses": [*body["responses"], body["responses"][0]]})


_CHANGES: dict[FaultKind, _Apply] = {
    FaultKind.TRUNCATED_JSON: _truncated,
    FaultKind.NO_VALUE: _no_value,
    FaultKind.NEXT_LINK_REPEATS: _linked(_to_itself),
    FaultKind.NEXT_LINK_FOREIGN_HOST: _linked(
        lambda fault, change, link: fault.link or link.replace(change.base_url, _ELSEWHERE, 1)
    ),
    FaultKind.NEXT_LINK_HTTP: _linked(lambda _fault, _change, link: link.replace("https://", "http://", 1)),
    FaultKind.NEXT_LINK_OTHER_TENANT: _linked(_to_other_tenant),
    FaultKind.NEXT_LINK_OTHER_VERSION: _linked(_to_other_version),
    FaultKind.DUPLICATE_ON_NEXT_PAGE: _shifted(-1),
    FaultKind.SLIP: _shifted(1),
    FaultKind.NOISE: _noise,
    FaultKind.UNKNOWN_PROPERTIES: _unknown_properties,
    FaultKind.BATCH_TRUNCATED_JSON: _truncated,
    FaultKind.BATCH_MISSING_RESPONSE: _missing_response,
    FaultKind.BATCH_DUPLICATE_RESPONSE: _duplicate_response,
}
