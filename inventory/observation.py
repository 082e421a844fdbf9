from collections.abc import Sequence
from copy import copy
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

import orjson
from pydantic import BaseModel

from inventory.canonical import (
    TYPE,
    Canonicalizer,
    JsonObject,
    JsonValue,
    NotANumberError,
    TooDeepError,
    edit_of,
    encode,
    stamped_and_written,
)
from inventory.cut_lists import cut_lists, expansion, with_links
from inventory.data_keys import DataKey
from inventory.item_ids import item_key
from inventory.meta import meta_properties, proposed_meta, whitelisted_meta
from inventory.normal_form import ArrayRules, NormalForm
from inventory.reference_extraction import ReadingRules, ReadReferences, read, set_by
from inventory.references import MAX_ID_LENGTH
from inventory.searched_settings import written
from inventory.stale import StalePart

MAX_NAME_LENGTH = 4096
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
"""The largest of 953 real canonical documents has 0.4 MB."""


class ObservationRules(BaseModel, frozen=True, extra="forbid"):
    """A catalog entry's rules, by Graph property name (`Collection`, `Canonicalizer`, `ArrayRules`)."""

    type_key: str
    id_field: str = "id"
    name_field: str = "displayName"
    singleton: bool = False
    """An object without an id gets the type key as id."""
    volatile: frozenset[str] = frozenset()
    sensitive: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    payloads: frozenset[str] = frozenset()
    """Texts hidden in part, only if they hold a secret."""
    ordered: frozenset[str] = frozenset()
    unordered: frozenset[str] = frozenset()
    null_not_shown: frozenset[str] = frozenset()
    enumerations: frozenset[str] = frozenset()
    details: frozenset[str] = frozenset()
    meta: dict[str, tuple[str, ...]] = {}
    """Meta keys beyond the common ones (`MetaPaths`)."""
    has_details: bool = False
    """Whether further calls complete the list's document."""
    change_signs: frozenset[str] = frozenset()
    cross_checked: dict[str, str] = {}
    """Lists, each with the boolean property that says whether it has members. If the two contradict, the list is left
    out.
    """
    expand: str | None = None
    """Lists that the listing expands and may cut."""

    @property
    def form(self) -> NormalForm:
        return NormalForm(
            ArrayRules(self.ordered, self.unordered, self.null_not_shown, self.enumerations, self.details)
        )

    def canonicalizer(self, data_key: DataKey | None) -> Canonicalizer:
        return Canonicalizer(
            volatile=self.volatile,
            sensitive=self.sensitive,
            masked=self.masked,
            ordered=self.ordered,
            payloads=self.payloads,
            data_key=data_key,
            by_nature=True,
        )


class InvalidReason(StrEnum):
    """Why a listed object is no observation."""

    NOT_AN_OBJECT = "not_an_object"
    MISSING_ID = "missing_id"
    ID_TOO_LONG = "id_too_long"
    NAME_TOO_LONG = "name_too_long"
    NUL_CHARACTER = "nul_character"
    NOT_UNICODE = "not_unicode"
    NOT_A_NUMBER = "not_a_number"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    DUPLICATE_ID = "duplicate_id"


class Observation(NamedTuple):
    """A valid object to stage: `document` is canonical JSON, `body_hash` its SHA-256.

    `list_hash`: the hash of the list's document with its `change_signs`; while it stays, details need no reading. None
    without details. `is_cut`: the rest of cut lists is unread. `stale_parts` have their earlier content, if any.
    `raw_digest`: None if the next run must parse the object.
    """

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, JsonValue]
    meta_dropped: int
    content_hash: bytes
    body_hash: bytes
    document: bytes
    list_hash: bytes | None = None
    references: ReadReferences | None = None
    is_cut: bool = False
    stale_parts: Sequence[StalePart] = ()
    raw_digest: bytes | None = None


class InvalidObject(NamedTuple):
    """An object that cannot be stored. `position` counts from 0; `external_id` is None if unusable."""

    position: int
    external_id: str | None
    reason: InvalidReason


class _Invalid(Exception):  # noqa: N818 - control flow inside this module
    def __init__(self, reason: InvalidReason) -> None:
        self.reason = reason


class Observer:
    def __init__(
        self, rules: ObservationRules, *, data_key: DataKey | None = None, reading: ReadingRules | None = None
    ) -> None:
        self._rules = rules
        self._reading = reading
        self._reading_hash = b"" if reading is None else reading.hash()
        self._extra_keys = frozenset(rules.meta)
        self._form = rules.form
        self._expansion = expansion(rules.expand)
        self.canonicalizer = rules.canonicalizer(data_key)
        of_list = rules.model_copy(update={"volatile": rules.volatile - rules.change_signs})
        self._list_canonicalizer = of_list.canonicalizer(data_key) if rules.has_details else None
        self._shown_properties = frozenset({rules.name_field, *meta_properties(rules.meta)})
        signs = rules.change_signs & rules.volatile
        self._signs = frozenset(sign.removeprefix("/") for sign in signs if "/" not in sign[1:])
        self._signs_within = sorted({sign.rpartition("/")[2] for sign in signs if not sign.startswith("/")})

    def under(self, data_key: DataKey | None) -> "Observer":
        other = copy(self)
        other.canonicalizer = self.canonicalizer.under(data_key)
        if self._list_canonicalizer is not None:
            other._list_canonicalizer = self._list_canonicalizer.under(data_key)  # noqa: SLF001 - its own class's
        return other

    def observe_page(
        self,
        objects: Sequence[JsonValue],
        *,
        with_references: bool = False,
        edit: str | None = None,
        has_details: bool = False,
    ) -> tuple[list[Observation], list[InvalidObject]]:
        """A page's observations, in order, and its invalid objects, among them repetitions of an id.

        `edit`: the latest edit of objects that show none. Objects with details (`has_details`) get no `list_hash`.
        """
        observations: list[Observation] = []
        invalid: list[InvalidObject] = []
        item_keys: set[str] = set()
        for position, candidate in enumerate(objects):
            try:
                observation = self.observe(
                    candidate, with_references=with_references, edit=edit, has_details=has_details
                )
                if (key := item_key(observation.external_id)) in item_keys:
                    raise _Invalid(InvalidReason.DUPLICATE_ID)
            except _Invalid as bad:
                invalid.append(InvalidObject(position, self._printable_id(candidate), bad.reason))
            else:
                item_keys.add(key)
                observations.append(observation)
        return observations, invalid

    def observe(
        self,
        candidate: JsonValue,
        *,
        with_references: bool = False,
        edit: str | None = None,
        has_details: bool = False,
    ) -> Observation:
        """As `observe_page`. Raises `_Invalid`."""
        if not isinstance(candidate, dict):
            raise _Invalid(InvalidReason.NOT_AN_OBJECT)
        candidate = self._believed(candidate)
        external_id = self._external_id(candidate)
        try:
            unstamped = self.canonicalizer.canonical_value(candidate)
            # Name and meta are copies of properties, so they must not show hidden ones.
            hidden = self.canonicalizer.hidden_names(candidate, self._shown_properties, unstamped)
            shown = {name: value for name, value in candidate.items() if name not in hidden} if hidden else candidate
            display_name = self._display_name(shown)
            meta = whitelisted_meta(proposed_meta(shown, self._rules.meta), self._extra_keys)
            canonical, document = stamped_and_written(unstamped, edit_of(candidate) or edit)
            content_hash = self._form.hash(canonical)
            list_hash = None if has_details else self._list_hash(candidate, unstamped)
            if cut := cut_lists(candidate, self._expansion):
                document = encode(with_links(canonical, cut))
        except TooDeepError:
            raise _Invalid(InvalidReason.TOO_DEEP) from None
        except NotANumberError:
            raise _Invalid(InvalidReason.NOT_A_NUMBER) from None
        except UnicodeEncodeError:
            raise _Invalid(InvalidReason.NOT_UNICODE) from None
        if len(document) > MAX_DOCUMENT_BYTES:
            raise _Invalid(InvalidReason.TOO_LARGE)
        return Observation(
            self._rules.type_key,
            external_id,
            display_name,
            meta.values,
            meta.dropped,
            content_hash,
            sha256(document).digest(),
            document,
            content_hash if cut and list_hash is None else list_hash,
            self._references(canonical) if with_references and not cut else None,
            bool(cut),
        )

    def _references(self, canonical: JsonObject) -> ReadReferences | None:
        """The references in the stored document, so none in hidden and volatile values."""
        if self._reading is None:
            return None
        settings = written(set_by(canonical, self._rules.type_key, self._reading))
        return ReadReferences(self._reading_hash, read(canonical, self._reading), settings)

    def _list_hash(self, candidate: JsonObject, canonical: JsonObject) -> bytes | None:
        if self._list_canonicalizer is None:
            return None
        if self._may_have_signs_within(candidate):
            return sha256(self._list_canonicalizer.sorted_canonical(candidate)).digest()
        # Beside the signs it is the canonical document.
        signs = self._list_canonicalizer.canonical_value(
            {name: candidate[name] for name in candidate.keys() & {*self._signs, TYPE}}
        )
        return sha256(self._list_canonicalizer.written_sorted({**signs, **canonical})).digest()

    def _may_have_signs_within(self, candidate: JsonObject) -> bool:
        try:
            written = orjson.dumps(candidate, default=str)
        except orjson.JSONEncodeError:
            return True
        return any(
            written.count(encode(name) + b":") > (name in self._signs and name in candidate)
            for name in self._signs_within
        )

    def _believed(self, candidate: JsonObject) -> JsonObject:
        doubted = [
            name
            for name, sign in self._rules.cross_checked.items()
            if isinstance(candidate.get(sign), bool)
            and isinstance(candidate.get(name), list)
            and bool(candidate[name]) is not candidate[sign]
        ]
        return {name: value for name, value in candidate.items() if name not in doubted} if doubted else candidate

    def _external_id(self, candidate: dict[str, JsonValue]) -> str:
        value = candidate.get(self._rules.id_field)
        if self._rules.singleton and value in (None, ""):
            return self._rules.type_key
        if not isinstance(value, str) or not value.strip():
            raise _Invalid(InvalidReason.MISSING_ID)
        _check_text(value, MAX_ID_LENGTH, InvalidReason.ID_TOO_LONG)
        return value

    def _display_name(self, candidate: dict[str, JsonValue]) -> str | None:
        value = candidate.get(self._rules.name_field)
        if not isinstance(value, str):
            return None
        _check_text(value, MAX_NAME_LENGTH, InvalidReason.NAME_TOO_LONG)
        return value

    def _printable_id(self, candidate: JsonValue) -> str | None:
        value = candidate.get(self._rules.id_field) if isinstance(candidate, dict) else None
        return value if isinstance(value, str) and len(value) <= MAX_ID_LENGTH and value.isprintable() else None


def _check_text(value: str, limit: int, too_long: InvalidReason) -> None:
    if "\0" in value:
        raise _Invalid(InvalidReason.NUL_CHARACTER)
    if len(value) > limit:
        raise _Invalid(too_long)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Invalid(InvalidReason.NOT_UNICODE) from None
