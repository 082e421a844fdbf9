"""One item's details: open calls, and answers so far."""

import hashlib
from collections.abc import Container
from typing import Any, NamedTuple
from urllib.parse import quote

from graph.catalog import ChildCall, Collection, DetailCall
from graph.errors import Answer, ReadFailure, classify
from graph.pages import MalformedPageError, is_found, is_gone, read_page
from inventory.canonical import TYPE, Canonicalizer, JsonObject, JsonValue, NotANumberError, TooDeepError
from inventory.cut_lists import (
    Expansion,
    Path,
    cut_lists,
    expanded_in,
    expansion,
    expansion_by,
    owner_of,
    without_links,
)
from inventory.document_parts import (
    DetailPlace,
    Part,
    SensitiveParentError,
    assemble,
    canonical_members,
    canonical_part,
    places_of_new,
    with_last_read,
)
from inventory.error_codes import OF_TENANT_CODES, ErrorCode
from inventory.exact_json import decode, encode

MAX_PAGES = 1000
"""An answer with more pages is a loop: the largest real policy has 13."""


class OpenCall(NamedTuple):
    """A request for a detail or the rest of a cut list; without `call` and `path` it asks whether the item exists.

    `call` and `child` number the entry's calls. `anchor`: hash of an earlier link, renewed at powers of two of pages.
    `path`: the place of the cut list, in the list's document or in page `of_page` of the call's answer.
    """

    url: str
    call: int | None = None
    child: int | None = None
    child_id: str | None = None
    page: int = 1
    anchor: str | None = None
    restarted: bool = False
    path: Path | None = None
    of_page: int = 1

    @property
    def asks_whether_there(self) -> bool:
        return self.call is None and self.path is None


class UnreadCall(NamedTuple):
    """A call that Graph does not answer."""

    call: OpenCall
    failure: ReadFailure
    member_name: str | None = None
    """The name of the member that the answer is about."""

    @property
    def code(self) -> ErrorCode:
        return self.failure.code

    @property
    def http_status(self) -> int | None:
        status = self.failure.context.get("http_status")
        return status if isinstance(status, int) else None


class DetailReading:
    """Collects answers in canonical form, with hidden secrets."""

    def __init__(
        self,
        collection: Collection,
        canonicalizer: Canonicalizer,
        external_id: str,
        list_document: JsonObject,
        progress: bytes | None = None,
    ) -> None:
        self._collection = collection
        self._canonicalizer = canonicalizer
        self._external_id = external_id
        self._list_document = list_document
        self._parts: list[Part] = []
        self._is_there = False
        self.unread: list[UnreadCall] = []
        """Calls that were given up."""
        self._is_extended = False
        """Whether members of cut lists were added to the list's document."""
        self.gone = False
        cut = cut_lists(list_document, expansion(collection.expand))
        without_links(list_document, cut)
        if progress is None:
            calls = {
                number: detail
                for number, detail in enumerate(collection.details)
                if detail.is_of(list_document) and detail.is_needed(list_document)
            }
            self.open = [OpenCall(self._url(detail.path), call=number) for number, detail in calls.items()]
            # A cut list that a call reads as a whole is not read twice.
            answered = {name for detail in calls.values() for name in (detail.property, *expansion_by(detail.path))}
            self.open += [OpenCall(link, page=2, path=path) for path, link in cut if path[0] not in answered]
        else:
            self._restore(progress)

    @property
    def is_at_end(self) -> bool:
        return not self.open and not self.gone

    @property
    def is_whole(self) -> bool:
        return self.is_at_end and not self.unread

    def whole(self) -> JsonObject:
        return assemble(self._list_document, self._parts)

    def partial(self, last: JsonObject, lacked: Container[DetailPlace]) -> tuple[JsonObject, list[DetailPlace]]:
        """The document, with the last version's content for given-up calls, and the places that have none.

        `lacked`: places that the last version lacks.
        """
        unread = self.unread_places
        parts = [part for part in self._parts if not any(_contains(place, _place_of(part)) for place in unread)]
        believed = {name for detail in self._collection.details for name in detail.believe_list}
        shown = frozenset(believed | {part.property for part in parts if part.property is not None})
        return with_last_read(assemble(self._list_document, parts), last, unread, listed_names=shown, lacked=lacked)

    def stale(self, lacking: Container[DetailPlace]) -> list[tuple[DetailPlace, UnreadCall]]:
        """Given-up calls that make the document stale, with their places.

        A place in `lacking` is left out if Graph may refuse it to the tenant or the app.
        """
        return [
            (place, unread)
            for place, unread in zip(self.unread_places, self.unread, strict=True)
            if not (self.is_answer(unread) and place in lacking and self._may_be_refused(unread.call))
        ]

    def is_answer(self, unread: UnreadCall) -> bool:
        """Whether Graph says, without an error, that there is no such detail, or none for this tenant or app."""
        if unread.code is ErrorCode.GRAPH_NOT_FOUND:
            return unread.call.path is None and self._call(unread.call).optional
        return unread.code in OF_TENANT_CODES and unread.call.page == 1

    @property
    def absent(self) -> list[DetailPlace]:
        """Places for which Graph says that there is nothing."""
        return [_place_of(part) for part in self._parts if part.body is None and part.property is not None]

    def doubt(self, place: DetailPlace) -> None:
        """Gives up the call for an absent place."""
        self._parts = [part for part in self._parts if _place_of(part) != place]
        number, detail = next(
            (number, detail)
            for number, detail in enumerate(self._collection.details)
            if detail.property == place.property and detail.is_of(self._list_document)
        )
        children = [child.property for child in detail.children]
        child = None if place.child_property is None else children.index(place.child_property)
        path = detail.path if child is None else detail.children[child].path
        call = OpenCall(self._url(path, place.child_id), call=number, child=child, child_id=place.child_id)
        self.give_up(call, ReadFailure(ErrorCode.GRAPH_NOT_FOUND, context={"http_status": 404}))

    def _may_be_refused(self, call: OpenCall) -> bool:
        if call.call is None or call.child is not None:
            return False
        return self._collection.delegated_only or self._collection.details[call.call].licence_hint is not None

    @property
    def may_be_gone(self) -> bool:
        """Whether a call found nothing, and Graph has not yet said whether the item is there."""
        return any(call.asks_whether_there for call in self.open)

    @property
    def unread_places(self) -> list[DetailPlace]:
        return [self._place(given_up.call) for given_up in self.unread]

    def give_up(self, call: OpenCall, failure: ReadFailure) -> None:
        if call.asks_whether_there:
            # The list has shown the item, and nothing says that it is gone.
            self._replace(call)
            return
        place = self._place(call)
        self.open = [
            waiting for waiting in self.open if waiting.asks_whether_there or not _contains(place, self._place(waiting))
        ]
        self.unread = [unread for unread in self.unread if not _contains(place, self._place(unread.call))]
        self.unread.append(UnreadCall(call, failure, self._member_name(place)))

    def progress(self) -> bytes:
        """The state for another process. Given-up calls end the list of open ones, for older workers."""
        parts = [
            [part.property, part.body, part.single, part.page, part.child_property, part.child_id]
            for part in self._parts
        ]
        given_up = [[unread.code, dict(unread.failure.context), unread.member_name] for unread in self.unread]
        calls = [*self.open, *(unread.call for unread in self.unread)]
        state: Any = {"open": [list(call) for call in calls], "parts": parts, "given_up": given_up}
        if self._is_extended:
            state["list"] = self._list_document
        return encode(state)

    def take(self, call: OpenCall, answer: Answer) -> ReadFailure | None:
        """Takes an answer in; returns its failure if it was of no use.

        The caller checks the links of new open calls.
        """
        if call.path is not None:
            return self._take_rest(call, call.path, answer)
        if call.call is None:
            return self._take_whether_there(call, answer)
        detail = self._call(call)
        if answer.status == 404 and is_gone(answer):
            if detail.optional:
                self._replace(call)
                self._parts.append(self._part(call, None))
                return None
            if self._collection.confirmable:
                self._ask_whether_there(call, answer)
                return None
        delegated_only = self._collection.delegated_only
        failure = classify(answer, permission=self._permission(call), delegated_only=delegated_only)
        if failure is not None and self.is_answer(UnreadCall(call, failure)):
            self.give_up(call, failure)
            return None
        if failure is not None and failure.restart and not call.restarted:
            self._restart(call)
            return None
        if failure is None:
            try:
                self._take_page(call, answer, single=detail.single)
            except MalformedPageError as error:
                failure = error.failure
            except (TooDeepError, NotANumberError, UnicodeEncodeError, SensitiveParentError):
                failure = ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, context={"http_status": answer.status})
        return failure

    def _ask_whether_there(self, call: OpenCall, answer: Answer) -> None:
        """Gives up a call that found nothing: the item may be gone, too."""
        self.give_up(call, ReadFailure(ErrorCode.GRAPH_NOT_FOUND, context={"http_status": answer.status}))
        if not self._is_there and not any(call.asks_whether_there for call in self.open):
            self.open.append(OpenCall(self._collection.item_url(self._external_id)))

    def _take_rest(self, call: OpenCall, path: Path, answer: Answer) -> ReadFailure | None:
        if is_gone(answer) and self._collection.confirmable:
            self._ask_whether_there(call, answer)
            return None
        permission = self._collection.permission if call.call is None else self._permission(call)
        failure = classify(answer, permission=permission)
        if failure is not None and failure.restart and call.call is not None and not call.restarted:
            self._restart(call)
            return None
        if failure is not None:
            # The next run lists the item anew, with a link that has not expired.
            return failure._replace(retryable=failure.retryable and not failure.restart)
        try:
            page = read_page(answer)
            owner, name = owner_of(self._holder(call), path)
            members = None if owner is None else owner.get(name)
            if not isinstance(members, list):
                raise MalformedPageError(answer)
            names = [*self._names(call), *(step for step in path if isinstance(step, str))]
            further = canonical_members(self._canonicalizer, names, page.items, self._list_document)
            encode(further)
            following = [] if page.next_link is None else [self._next(call, page.next_link)]
        except MalformedPageError as error:
            return error.failure
        except (TooDeepError, NotANumberError, UnicodeEncodeError):
            return ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, context={"http_status": answer.status})
        new = places_of_new(members, further)
        within = expanded_in(self._expansion(call), path)
        remaining = [
            call._replace(url=link, page=2, anchor=None, path=(*path, len(members) + new.index(place), *below))
            for (place, *below), link in cut_lists(page.items, within)
            if isinstance(place, int) and place in new
        ]
        members += [further[place] for place in new]
        self._is_extended |= call.call is None
        self._replace(call, *following, *remaining)
        return None

    def _expansion(self, call: OpenCall) -> Expansion:
        return expansion(self._collection.expand) if call.call is None else expansion_by(self._call(call).path)

    def _holder(self, call: OpenCall) -> JsonValue:
        if call.call is None:
            return self._list_document
        sought = self._part(call, None)._replace(page=call.of_page)
        bodies = [part.body for part in self._parts if _is_page(part, sought)]
        return bodies[-1] if bodies else None

    def _names(self, call: OpenCall) -> list[str]:
        part = None if call.call is None else self._part(call, None)
        return [] if part is None else [name for name in (part.property, part.child_property) if name is not None]

    def _take_page(self, call: OpenCall, answer: Answer, *, single: bool) -> None:
        page = read_page(answer, singleton=single)
        body: Any = page.items[0] if single else page.items
        part = canonical_part(self._canonicalizer, self._part(call, body), self._list_document)
        cut = cut_lists(body, self._expansion(call))
        # Raises here if the body cannot be encoded: later is too late.
        encode(part.body)
        following = [self._next(call, page.next_link)] if page.next_link is not None else []
        self._parts.append(part)
        rest = [call._replace(url=link, page=2, anchor=None, path=path, of_page=call.page) for path, link in cut]
        self._replace(call, *following, *self._children(call, part), *rest)
        if not following and not call.restarted and self._is_miscounted(call):
            self._restart(call)

    def _is_miscounted(self, call: OpenCall) -> bool:
        """Whether the pages, which are no snapshot, have fewer or more members than the list counts."""
        counted_by = None if call.child is not None else self._collection.details[call.call or 0].counted_by
        expected = None if counted_by is None else self._list_document.get(counted_by)
        if not isinstance(expected, int):
            return False
        [members] = assemble({}, [part for part in self._parts if _belongs(part, self._part(call, None))]).values()
        return isinstance(members, list) and len(members) != expected

    def _take_whether_there(self, call: OpenCall, answer: Answer) -> ReadFailure | None:
        if is_gone(answer):
            self.open, self.gone = [], True
            return None
        if is_found(answer, self._collection.id_field, self._external_id):
            self._is_there = True
            self._replace(call)
            return None
        failure = classify(answer, permission=self._collection.permission)
        context = {"http_status": answer.status}
        return failure or ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True, context=context)

    def _next(self, call: OpenCall, link: str) -> OpenCall:
        """Raises `MalformedPageError` if the links form a loop."""
        fingerprint = hashlib.sha256(link.encode(errors="surrogatepass")).hexdigest()
        if fingerprint == call.anchor or call.page >= MAX_PAGES:
            raise _LoopError(call.page)
        number = call.page + 1
        anchor = fingerprint if number & (number - 1) == 0 else call.anchor
        return call._replace(url=link, page=number, anchor=anchor)

    def _children(self, call: OpenCall, part: Part) -> list[OpenCall]:
        if call.call is None or call.child is not None or not isinstance(part.body, list):
            return []
        children = self._collection.details[call.call].children
        ids = [member.get("id") for member in part.body if isinstance(member, dict)]
        return [
            OpenCall(self._url(child.path, child_id), call=call.call, child=number, child_id=child_id)
            for child_id in ids
            if isinstance(child_id, str) and child_id
            for number, child in enumerate(children)
        ]

    def _restart(self, call: OpenCall) -> None:
        detail = self._call(call)
        first = self._url(detail.path, call.child_id)
        anew = OpenCall(first, call=call.call, child=call.child, child_id=call.child_id, restarted=True)
        dropped = self._part(call, None)
        self._parts = [part for part in self._parts if not _belongs(part, dropped)]
        if call.child is None:
            self.open = [other for other in self.open if other.call != call.call]
        else:
            self.open = [other for other in self.open if (other.child, other.child_id) != (call.child, call.child_id)]
        self.open.append(anew)

    def _replace(self, call: OpenCall, *by: OpenCall) -> None:
        self.open = [*(other for other in self.open if other is not call), *by]

    def _call(self, call: OpenCall) -> DetailCall | ChildCall:
        detail = self._collection.details[call.call or 0]
        return detail if call.child is None else detail.children[call.child]

    def _permission(self, call: OpenCall) -> str:
        return self._collection.details[call.call or 0].permission or self._collection.permission

    def _url(self, path: str, child_id: str | None = None) -> str:
        kind = str(self._list_document.get(TYPE, "")).removeprefix("#")
        filled = path.replace("{type}", quote(kind, safe="")).replace("{id}", quote(self._external_id, safe=""))
        return filled if child_id is None else filled.replace("{child_id}", quote(child_id, safe=""))

    def _place(self, call: OpenCall) -> DetailPlace:
        if call.call is None:
            return DetailPlace(str((call.path or ("",))[0]))
        detail = self._collection.details[call.call or 0]
        child = None if call.child is None else detail.children[call.child]
        return DetailPlace(detail.property, None if child is None else child.property, call.child_id)

    def _member_name(self, place: DetailPlace) -> str | None:
        if place.child_id is None:
            return None
        members = assemble({}, [part for part in self._parts if part.property == place.property]).get(
            place.property or ""
        )
        for member in members if isinstance(members, list) else ():
            if isinstance(member, dict) and member.get("id") == place.child_id:
                definition = member.get("definition")
                for named in (definition, member):
                    name = named.get("displayName") if isinstance(named, dict) else None
                    if isinstance(name, str) and name:
                        return name
        return None

    def _part(self, call: OpenCall, body: Any) -> Part:
        detail = self._collection.details[call.call or 0]
        child = None if call.child is None else detail.children[call.child]
        return Part(
            property=detail.property,
            body=body,
            single=(child or detail).single,
            page=call.page,
            child_property=None if child is None else child.property,
            child_id=call.child_id,
            believe_list=detail.believe_list,
        )

    def _restore(self, progress: bytes) -> None:
        state: Any = decode(progress)
        calls = [_open_call(values) for values in state["open"]]
        given_up = state.get("given_up", ())
        self.open = calls[: len(calls) - len(given_up)]
        self.unread = [
            UnreadCall(call, ReadFailure(ErrorCode(code), context=context), name)
            for call, (code, context, name) in zip(calls[len(self.open) :], given_up, strict=True)
        ]
        if "list" in state:
            self._list_document, self._is_extended = state["list"], True
        believed = {detail.property: detail.believe_list for detail in self._collection.details}
        self._parts = [
            Part(*values)._replace(believe_list=believed.get(values[0], frozenset())) for values in state["parts"]
        ]


def _contains(place: DetailPlace, other: DetailPlace) -> bool:
    return other == place or (
        place.property is not None and place.child_property is None and other.property == place.property
    )


def _place_of(part: Part) -> DetailPlace:
    return DetailPlace(part.property, part.child_property, part.child_id)


def _open_call(noted: list[Any]) -> OpenCall:
    call = OpenCall(*noted)
    return call if call.path is None else call._replace(path=tuple(call.path))


def _is_page(part: Part, sought: Part) -> bool:
    return (_place_of(part), part.page) == (_place_of(sought), sought.page)


class _LoopError(MalformedPageError):
    def __init__(self, page: int) -> None:
        ValueError.__init__(self, "a listing goes in circles")
        self.failure = ReadFailure(ErrorCode.GRAPH_PAGING_LOOP, context={"page": page})


def _belongs(part: Part, dropped: Part) -> bool:
    if part.property != dropped.property:
        return False
    return dropped.child_id is None or (part.child_property, part.child_id) == (
        dropped.child_property,
        dropped.child_id,
    )
