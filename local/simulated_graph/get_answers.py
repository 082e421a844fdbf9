"""Answers GETs: finds the path's object and shows it by the query."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import quote

from local.simulated_graph.content import Content, Item
from local.simulated_graph.documents import Document
from local.simulated_graph.endpoints import ENDPOINTS, INTUNE_PAGE, Area, Endpoint, Navigation, located
from local.simulated_graph.filters import FilterError, parse
from local.simulated_graph.messages import Answer, GraphRequest, error, not_authorized, not_found, segment_unknown
from local.simulated_graph.metadata_checks import UnknownSegmentError, check_published, is_of
from local.simulated_graph.pages import Page, Pager, Sizes
from local.simulated_graph.query import Query, QueryError
from local.simulated_graph.representations import Place, check_expanded, check_selected, show, show_related
from local.simulated_graph.secret_references import reissued

_CAST = "microsoft.graph."

DIRECTORY_EXPANDED = 20
"""https://learn.microsoft.com/graph/query-parameters#expand-parameter"""

_TIP = "Use $select to choose only the properties your app needs, as this can lead to performance improvements."


class _MissingError(LookupError):
    """The text is the missing object's id."""


class _FunctionError(PermissionError):
    """A function needs more than a reader's permission."""


class _Kept(NamedTuple):
    state: int
    answer: Answer


class Reader:
    """Graph at `base_url`, for a known caller. `keeps_answers`: each answer is made once until its tenant is edited."""

    def __init__(self, base_url: str, pager: Pager, *, keeps_answers: bool = False) -> None:
        self.base_url = base_url
        self._pager = pager
        self._keeps_answers = keeps_answers
        self._kept: dict[tuple[str, str, int], _Kept] = {}

    def answer(
        self, request: GraphRequest, tenant_id: str, content: Content, *, shift: int = 0, reading: int = 0
    ) -> Answer:
        """Answers a GET. `shift` moves a page's rows.

        Each `reading` has other references to secrets; 0 has the tenant's own.
        """
        version, _, path = request.path.lstrip("/").partition("/")
        area = Area.INTUNE
        try:
            endpoint, segments = _located(version, path)
            area = endpoint.area
            query = Query.parse(request.query)
            if not endpoint.undocumented and not _is_function(endpoint, segments):
                check_published(version, path, query)
            get = _Reading(self.base_url, self._pager, version, tenant_id, content, endpoint, query, shift)
            answer = self._made(request, get, segments)
            return replace(answer, body=reissued(answer.body, reading))
        except UnknownSegmentError as unknown:
            return segment_unknown(request, str(unknown))
        except _MissingError as missing:
            return not_found(request, area, str(missing))
        except _FunctionError:
            return not_authorized(request)
        except (QueryError, FilterError) as invalid:
            return error(request, 400, "BadRequest", str(invalid))

    def _made(self, request: GraphRequest, get: "_Reading", segments: Sequence[str]) -> Answer:
        if not self._keeps_answers:
            return Answer.of(200, get.body(segments))
        key = (get.tenant_id, request.address, get.shift)
        # Read before the documents, so that the answer is made again after an edit in between.
        state = get.content.state
        cached = self._kept.get(key)
        if cached is None or cached.state != state:
            cached = self._kept[key] = _Kept(state, Answer.of(200, get.body(segments)))
        return cached.answer


@dataclass(frozen=True, slots=True)
class _Reading:
    base_url: str
    pager: Pager
    version: str
    tenant_id: str
    content: Content
    endpoint: Endpoint
    query: Query
    shift: int

    def body(self, path_below: Sequence[str]) -> Any:
        """The body for the endpoint, or for the segments below."""
        if self.endpoint.singleton:
            path_below = ("", *path_below)
        if not path_below:
            return self._listing()
        items = self.content.items(self.endpoint)
        item = (
            (items[0] if items else None)
            if self.endpoint.singleton
            else self.content.find(self.endpoint, path_below[0])
        )
        if item is None:
            raise _MissingError(path_below[0] or self.endpoint.path)
        path = self.endpoint.path if self.endpoint.singleton else f"{self.endpoint.path}/{path_below[0]}"
        if len(path_below) > 1:
            return self._related(item, path, path_below[1:])
        check_expanded(self.endpoint.navigations, self.query, self.endpoint.entity)
        check_selected([item], self.endpoint, self.query)
        shown = show(item, self.endpoint, self.query, self._place(item), listed=False)
        if item.raw:
            return shown
        return {"@odata.context": self._context(f"{self.endpoint.path}/$entity"), **shown}

    def _listing(self) -> Document:
        missing = [name for name in self.endpoint.needs_filter if name not in (self.query.filter or "")]
        if missing:
            raise QueryError(f"The filter on '{missing[0]}' is required.")
        items = self.content.listed(self.endpoint)
        check_expanded(self.endpoint.navigations, self.query, self.endpoint.entity)
        check_selected(items, self.endpoint, self.query)
        if self.version == "v1.0":
            items = [item for item in items if item.kind not in self.endpoint.beta_types]
        if self.endpoint.paged:
            page = self._page(
                self.endpoint.path, len(items), Sizes(self.endpoint.page_size, self.endpoint.largest_page)
            )
            # Filtered after paging, so an empty page may have a nextLink.
            on_page = self._filtered(items[page.start : page.stop])
        else:
            # `$top` cuts the list without a nextLink.
            on_page = self._filtered(items)[: self.query.top]
            page = Page(0, len(on_page), None)
        chain: list[str] = []
        items_shown = []
        for item in on_page:
            if self.endpoint.growing_context:
                chain.append((item.kind or self.endpoint.odata_type).removeprefix("#"))
            place = self._place(item)
            place = place._replace(context="/".join((place.context, *chain)))
            items_shown.append(show(item, self.endpoint, self.query, place, listed=True))
        return self._page_body(self.endpoint.path, items_shown, page, total=len(items))

    def _related(self, item: Item, path: str, segments: Sequence[str]) -> Any:
        if _is_function(self.endpoint, ["", *segments]):
            raise _FunctionError
        value: Any = item.document if isinstance(item.document, dict) else {}
        navigations = self.endpoint.navigations
        last: Navigation | None = None
        for segment in segments:
            path = f"{path}/{segment}"
            if segment.startswith(_CAST):
                kind = (item.kind or self.endpoint.odata_type).removeprefix(f"#{_CAST}")
                if not is_of(self.version, kind, segment.removeprefix(_CAST)):
                    raise _MissingError(segment)
                continue
            if isinstance(value, list):
                value = next((member for member in value if member.get("id") == segment), None)
            else:
                last = next((navigation for navigation in navigations if navigation.name == segment), None)
                if last is None:
                    raise UnknownSegmentError(segment)
                value, navigations = value.get(segment, None if last.single else []), last.children
            if value is None:
                raise _MissingError(segment)
        check_expanded(navigations, self.query, last.name if last else self.endpoint.entity)
        if isinstance(value, dict):
            shown = show_related(value, navigations, self.query, self._place_at(path))
            return {"@odata.context": self._context(f"{path}/$entity"), **shown}
        page = self._page(path, len(value), Sizes(last.page_size if last else INTUNE_PAGE, INTUNE_PAGE))
        related = [
            show_related(document, navigations, self.query, self._place_at(f"{path}/{document.get('id')}"))
            for document in value[page.start : page.stop]
        ]
        return self._page_body(path, related, page, total=len(value))

    def _page(self, path: str, rows: int, sizes: Sizes) -> Page:
        address = f"{self.base_url}/{self.version}/{quote(path)}"
        return self.pager.page(address, self.tenant_id, self.query, rows, sizes, self.shift)

    def _filtered(self, items: list[Item]) -> list[Item]:
        if self.query.filter is None:
            return items
        fits = parse(self.query.filter, self.endpoint.odata_type)
        return [item for item in items if isinstance(item.document, dict) and fits(item.document)]

    def _page_body(self, path: str, values: list[Any], page: Page, total: int) -> Document:
        body: Document = {"@odata.context": self._context(path)}
        if self.endpoint.area is Area.INTUNE:
            # The page's own count, never a total.
            if self.query.count or self.endpoint.counts_unasked:
                body["@odata.count"] = len(values)
        elif self.query.count and self.query.skiptoken is None:
            body["@odata.count"] = total
        if page.next_link is not None:
            body["@odata.nextLink"] = page.next_link
        if not self.query.select:
            body["@microsoft.graph.tips"] = _TIP
        body["value"] = values
        return body

    def _context(self, path: str) -> str:
        return f"{self.base_url}/{self.version}/$metadata#{path}"

    def _place(self, item: Item) -> Place:
        path = self.endpoint.path if self.endpoint.singleton else f"{self.endpoint.path}/{item.key}"
        return Place(self._context(f"{self.endpoint.path}('{item.key}')"), path, self._cut)

    def _place_at(self, path: str) -> Place:
        return Place(self._context(path), path, self._cut)

    def _cut(
        self, path: str, navigation: Navigation, nested: Query, related: list[Document]
    ) -> tuple[list[Document], str | None]:
        """At most twenty directory objects are expanded, without a sign of more."""
        if self.endpoint.area is Area.DIRECTORY:
            return related[:DIRECTORY_EXPANDED], None
        size = self.content.expanded_size or navigation.expanded_size
        if size is None:
            return related, None
        address = f"{self.base_url}/{self.version}/{quote(path)}"
        page = self.pager.page(
            address, self.tenant_id, Query(other_options=_expanding(nested)), len(related), Sizes(size, size)
        )
        return related[: page.stop], page.next_link


def _expanding(query: Query) -> str:
    named = [name + (f"({_expanding(nested)})" if nested.expand else "") for name, nested in query.expand.items()]
    return f"$expand={','.join(named)}" if named else ""


def _located(version: str, path: str) -> tuple[Endpoint, list[str]]:
    segments = [segment for segment in path.split("/") if segment]
    place = located(path)
    if place is not None:
        endpoint, below = place
        if version not in endpoint.versions:
            raise UnknownSegmentError(segments[len(segments) - len(below) - 1])
        return place
    for length in range(1, len(segments) + 1):
        prefix = "/".join(segments[:length])
        if not any(known.startswith(f"{prefix}/") for known in ENDPOINTS):
            raise UnknownSegmentError(segments[length - 1])
    raise UnknownSegmentError(segments[-1] if segments else "")


def _is_function(endpoint: Endpoint, segments: Sequence[str]) -> bool:
    """Whether the segments after the endpoint, key first, call a function."""
    return len(segments) > 1 and segments[1].partition("(")[0] in endpoint.functions
