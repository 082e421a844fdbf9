"""Documents without the parts of one tenant, for comparing tenants.

Another object's id is replaced by its meaning: a group's name, a filter's rule. An id of unknown meaning is unresolved,
so that it makes nothing equal.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from inventory.canonical import (
    HIDDEN_WITHOUT_KEY,
    MIN_TELLING_ID_LENGTH,
    SENSITIVE_MARK,
    TYPE,
    Canonicalizer,
    JsonObject,
    JsonValue,
    encode,
    is_mark,
    without_edits,
)
from inventory.item_ids import item_key
from inventory.normal_form import NormalForm
from inventory.references import ReferenceRules, id_in, path_of, references, translated
from inventory.stale import Staleness

OWN_ID = "(own id)"
OWN_KEY = "(own key)"
TENANT_ID = "(tenant id)"
MASKED = "?"

MAX_MEANING_LENGTH = 200
"""In characters; longer texts become a beginning and a digest."""

NOT_SHOWN = (b"#microsoft.graph.deviceManagementConfigurationSecretSettingValue", b'"isEncrypted":true')
"""Signs of secrets that Graph does not show: secret settings, and `omaSettings` with the value `****`."""


class UnresolvedReason(StrEnum):
    """Why an id's meaning is unknown."""

    UNKNOWN = "unknown"
    """The inventory has no such object."""
    GONE = "gone"
    """Its collection's latest complete listing omits the object."""
    AMBIGUOUS = "ambiguous"
    """Several objects of its collection have its name and kind."""
    NOT_READ = "not_read"
    """Its collection was never listed to its end, so another object may have its name."""
    UNNAMED = "unnamed"
    DAMAGED = "damaged"
    """Its meaning is in a damaged document."""


class Uncertainty(StrEnum):
    """Why documents without a difference may differ."""

    UNRESOLVED_REFERENCE = "unresolved_reference"
    """They refer to objects of unknown meaning."""
    DETAILS_INCOMPLETE = "details_incomplete"
    """Details of one document are unread: only common parts were compared."""
    DETAIL_NOT_READ = "detail_not_read"
    """An earlier release read one document without a detail of the other: only common parts were compared."""
    SECRET_NOT_SHOWN = "secret_not_shown"  # noqa: S105 - a word, and no secret
    """They hold a secret that Graph does not show."""
    HIDDEN_WITHOUT_KEY = "hidden_without_key"
    """They hold values masked by Graph or hidden without a key, which all look alike."""
    HIDDEN_UNDER_TWO_KEYS = "hidden_under_two_keys"
    """They hold values hidden under different keys, which never look alike."""
    HIDDEN_ON_ONE_SIDE = "hidden_on_one_side"
    STALE = "stale"
    """Details of one document could not be read lately: earlier content, if any, was compared."""
    NO_DOCUMENT = "no_document"
    """One item has no document yet."""
    DAMAGED_DOCUMENT = "damaged_document"


class IdTranslation(NamedTuple):
    """An id's meaning; `text` is None if unknown, for the `reason`.

    `is_shared`: the id is Microsoft's, the same in every tenant.
    """

    text: str | None
    reason: UnresolvedReason | None = None
    is_shared: bool = False


Translate = Callable[[tuple[str, ...], str], IdTranslation]
"""Translates an id of one of these collections."""


class UnresolvedReference(NamedTuple):
    path: str
    target_types: tuple[str, ...]
    target_id: str
    reason: UnresolvedReason
    is_shared: bool = False


class TenantNeutralRules(NamedTuple):
    """Properties of a collection; `identity` and `masked` are written as for `Canonicalizer`.

    `details` are in every whole document, even if empty. `alternate_keys` identify the object as its id does.
    """

    id_field: str
    name_field: str
    identity: frozenset[str]
    form: NormalForm
    references: ReferenceRules
    details: frozenset[str] = frozenset()
    alternate_keys: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()


class NeutralDocument(NamedTuple):
    """`canonical` is the JSON of the document's normal form. `uncertain`: why an equal document may differ.

    `details`: those that the document has, also if empty.
    """

    document: JsonObject
    canonical: bytes
    unresolved: tuple[UnresolvedReference, ...] = ()
    uncertain: frozenset[Uncertainty] = frozenset()
    details: frozenset[str] = frozenset()
    stale: Staleness | None = None

    @property
    def is_certain(self) -> bool:
        return not self.uncertain and all(reference.is_shared for reference in self.unresolved)


class Neutralizer:
    def __init__(self, rules: TenantNeutralRules) -> None:
        self.rules = rules
        self._canonicalizer = Canonicalizer(volatile=rules.identity, masked=rules.masked)

    def targets(self, document: JsonObject) -> set[tuple[tuple[str, ...], str]]:
        found = references(document, self.rules.references)
        return {(reference.target_types, reference.target_id) for reference in found if reference.target_types}

    def of(
        self,
        document: JsonObject,
        own_ids: Mapping[str, str],
        translate: Translate,
        *,
        details_complete: bool = True,
        stale: Staleness | None = None,
    ) -> NeutralDocument:
        """`own_ids`: the ids of the object and its tenant, each with the text that replaces it."""
        typed = [reference for reference in references(document, self.rules.references) if reference.target_types]
        ids = {(reference.target_types, reference.target_id) for reference in typed}
        translations = {
            (target_types, target_id): translate(target_types, target_id) for target_types, target_id in ids
        }
        unresolved = {
            UnresolvedReference(
                reference.path,
                reference.target_types,
                reference.target_id,
                translation.reason or UnresolvedReason.UNKNOWN,
                translation.is_shared,
            )
            for reference in typed
            for translation in [translations[reference.target_types, reference.target_id]]
            if translation.text is None
        }

        def text_of(target_types: tuple[str, ...], target_id: str) -> str | None:
            translation = translations.get((target_types, target_id))
            return None if translation is None else translation.text

        in_words = translated(document, self.rules.references, text_of)
        without_id = {name: value for name, value in in_words.items() if name != self.rules.id_field}
        own_keys = self._own_keys(
            document, {target_id: translation.text for (_, target_id), translation in translations.items()}
        )
        telling = {own: word for own, word in {**own_keys, **own_ids}.items() if len(own) >= MIN_TELLING_ID_LENGTH}
        spelled = document.get(self.rules.id_field)
        if isinstance(spelled, str) and (key := item_key(spelled)) in telling:
            telling[spelled] = telling[key]
        value = self._canonicalizer.canonical_value(_without(without_id, telling))
        if HIDDEN_WITHOUT_KEY in encode(value):
            # The time of an edit belongs to its tenant.
            value = without_edits(value)
        canonical = encode(self.rules.form.of(value))
        uncertain = set()
        if not details_complete:
            uncertain.add(Uncertainty.DETAILS_INCOMPLETE)
        if stale is not None:
            uncertain.add(Uncertainty.STALE)
        if any(placeholder in canonical for placeholder in NOT_SHOWN):
            uncertain.add(Uncertainty.SECRET_NOT_SHOWN)
        if HIDDEN_WITHOUT_KEY in canonical:
            uncertain.add(Uncertainty.HIDDEN_WITHOUT_KEY)
        details = self.rules.details & document.keys()
        return NeutralDocument(value, canonical, tuple(sorted(unresolved)), frozenset(uncertain), details, stale)

    def _own_keys(self, document: JsonObject, translations: Mapping[str, str | None]) -> dict[str, str]:
        """Replacements for alternate keys, which texts repeat: an app's URLs have its id.

        A key of the tenant's own becomes `OWN_KEY`, another its translation, if any.
        """
        words: dict[str, str] = {}
        for name in self.rules.alternate_keys:
            key = document.get(name)
            if isinstance(key, str):
                word = OWN_KEY if f"/{name}" in self.rules.identity else translations.get(item_key(key))
                words |= {} if word is None else {key: word}
        return words

    def likeness(self, neutral: NeutralDocument) -> bytes | None:
        """A hash that is equal for documents that differ in names only; None if uncertain."""
        if not neutral.is_certain:
            return None
        unnamed = {name: value for name, value in neutral.document.items() if name != self.rules.name_field}
        return self.rules.form.hash(unnamed)

    def masked(self, document: JsonObject, paths: Iterable[str]) -> JsonObject:
        """Replaces ids at paths of references by `MASKED`."""
        masked = set(paths)
        rules = {rule: keys for rule, keys in self.rules.references.items() if path_of(rule) in masked}
        return translated(document, rules, lambda _types, _id: MASKED)


def meaning_text(name: str | None, kind: str | None, says: Mapping[str, JsonValue] | None = None) -> str | None:
    """A meaning by the properties that the catalog names (`says`), else by name; None without either."""
    if says:
        text = "; ".join(f"{key} {', '.join(_words(value))}" for key, value in says.items())
        return _readable(text if kind is None else f"{kind}: {text}")
    if not name:
        return None
    return _readable(name if kind is None else f"{name} ({kind})")


def _words(value: JsonValue) -> list[str]:
    if isinstance(value, dict):
        return [word for name, child in value.items() if name != TYPE for word in _words(child)]
    if isinstance(value, list):
        return [word for member in value for word in _words(member)]
    return [value if isinstance(value, str) else encode(value).decode()]


def _readable(text: str) -> str:
    """Shortens a text, and quotes Graph's own words: a group may be called `All`."""
    if len(text) > MAX_MEANING_LENGTH:
        text = f"{text[:MAX_MEANING_LENGTH]}… ({hashlib.sha256(text.encode()).hexdigest()[:16]})"
    return text if id_in(text) == text else json.dumps(text, ensure_ascii=False)


def _without(value: JsonValue, own_ids: Mapping[str, str]) -> JsonObject:
    replaced = _replaced(value, own_ids) if own_ids and _names_one(value, own_ids) else value
    return replaced if isinstance(replaced, dict) else {}


def _names_one(value: JsonValue, own_ids: Mapping[str, str]) -> bool:
    written = encode(value)
    return any(encode(own)[1:-1] in written for own in own_ids)


def _replaced(value: JsonValue, own_ids: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str):
        for own, word in own_ids.items():
            value = value.replace(own, word)
        return value
    if isinstance(value, dict):
        return {name: _replaced(child, own_ids) for name, child in value.items()}
    if isinstance(value, list):
        return [_replaced(member, own_ids) for member in value]
    return value


def without_digits(document: JsonObject) -> JsonObject:
    """Replaces all marks by the same one."""
    return {name: _without_digits(value) for name, value in document.items()}


def _without_digits(value: JsonValue) -> JsonValue:
    if is_mark(value):
        return {SENSITIVE_MARK: True}
    if isinstance(value, dict):
        return without_digits(value)
    if isinstance(value, list):
        return [_without_digits(member) for member in value]
    return value
