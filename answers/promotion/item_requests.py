"""Requests that would write one item, and the reasons that forbid them."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import cast

from answers.field_labels import field_change
from answers.named_ids import ObjectNames
from answers.promotion.candidates import CollectionFacts, PromotionItem, TenantIds, created_id
from answers.promotion.effects import ItemReach, audience, effects, severity, worst_effects_first
from answers.promotion.records import (
    BlockCode,
    BlockReason,
    EffectKind,
    PlanAction,
    PlanEffect,
    PlannedRequest,
    RequestStep,
)
from inventory.canonical import MIN_TELLING_ID_LENGTH, TYPE, Canonicalizer, JsonObject, JsonValue, encode, is_mark
from inventory.differences import Difference, differences
from inventory.exact_json import objects_in
from inventory.references import translated
from inventory.write_rules import PartRequest, PartShape, WriteRules


class ItemRequests:
    """All references of the item must be resolved."""

    def __init__(
        self,
        candidate: PromotionItem,
        facts: CollectionFacts,
        rules: WriteRules,
        target_of: Callable[[tuple[str, ...], str], str | None],
        tenants: TenantIds,
        names: ObjectNames,
    ) -> None:
        self._names = names
        self._key = candidate.key
        self._facts = facts
        self._rules = rules
        self._target = candidate.target
        self._neutral = Canonicalizer(volatile=facts.identity, masked=facts.masked)
        source = cast("JsonObject", candidate.source.document)
        own = candidate.source.external_id
        mapped = translated(source, facts.references, target_of)
        others = {tenants.source: tenants.target}
        if candidate.target is not None:
            others[own] = candidate.target.external_id
        self._names_itself = candidate.target is None and _is_told(own, self._stripped(mapped))
        self._wanted = cast("JsonObject", _replaced(self._stripped(mapped), others))
        current = None if candidate.target is None else candidate.target.document
        self._current: JsonObject = {} if current is None else self._stripped(current)
        self._full_current: JsonObject = current or {}

    def _stripped(self, document: JsonObject) -> JsonObject:
        kept = {name: value for name, value in document.items() if name != self._facts.id_field}
        return self._neutral.canonical_value(kept)

    @property
    def _differing(self) -> set[str]:
        planned, current = self._facts.form.of(self._wanted), self._facts.form.of(self._current)
        # An empty detail and an absent one do not differ.
        names = {name for name in planned.keys() | current.keys() if planned.get(name) != current.get(name)}
        return {name for name in names if planned.get(name) or current.get(name) or name not in self._facts.details}

    def reasons(self) -> Iterator[BlockReason]:
        differing = self._differing - self._rules.not_sent
        if self._target is not None and not differing:
            return
        if self._names_itself:
            yield BlockReason(
                code=BlockCode.OWN_ID,
                text="the item names its own id, which a new object does not have",
                unblocked_by="create the item in the target by hand, and sync",
            )
        if self._target is not None:
            for name in sorted(differing & (self._rules.fixed | self._rules.bound.keys())):
                yield BlockReason(
                    code=BlockCode.FIXED,
                    text=f"{name} differs, and cannot change once the object is there",
                    unblocked_by="rename or remove the target's item, and sync, so that a new one is made",
                    path=name,
                )
        sent = self._sent(differing)
        for name in sorted(sent):
            if _has_mark(self._wanted.get(name)):
                yield BlockReason(
                    code=BlockCode.HIDDEN_VALUE,
                    text=f"a value in {name} is hidden, so that it cannot be sent",
                    unblocked_by="write the value in the target by hand",
                    path=name,
                )

    def _sent(self, differing: Collection[str]) -> set[str]:
        if self._target is None:
            return self._wanted.keys() - self._rules.not_sent
        parts = {part.name for part in self._rules.parts}
        if self._rules.replaced and set(differing) - parts:
            return (self._wanted.keys() - self._rules.not_sent - parts) | set(differing)
        return set(differing)

    def outcome(self) -> dict[str, object]:
        differing = self._differing
        expected = self._facts.form.of(self._wanted)
        outcome: dict[str, object] = {
            "expected": expected,
            "expected_hash": hashlib.sha256(encode(expected)).hexdigest(),
        }
        not_sent = sorted(differing & self._rules.not_sent)
        if self._target is None:
            outcome |= self._reviewed(None, {})
            return outcome | {"action": PlanAction.CREATE, "requests": list(self._creation()), "not_sent": not_sent}
        outcome["not_sent"] = not_sent
        if not differing - self._rules.not_sent:
            return outcome | {"action": PlanAction.NOTHING_TO_DO}
        found = differences(self._current, self._wanted, self._facts.form)
        fields = [field_change(difference, self._facts.references, self._names) for difference in found]
        outcome |= self._reviewed(found, {field.path: field.label for field in fields})
        requests = list(self._update(differing - self._rules.not_sent))
        return outcome | {"action": PlanAction.UPDATE, "requests": requests, "fields": fields}

    def _reviewed(self, differing: Sequence[Difference] | None, labels: Mapping[str, str]) -> dict[str, object]:
        rules = self._facts.references
        reach = ItemReach.of_document(self._current, rules), ItemReach.of_document(self._wanted, rules)
        found_effects = effects(self._key[0], differing or (), reach, labels, self._names)
        if differing is None:
            # Nobody has a new item yet, so nobody loses it.
            found_effects = [effect for effect in found_effects if effect.kind is not EffectKind.REACHES_FEWER]
        if self._rules.inert and self._has_effect(self._wanted) and not self._has_effect(self._current):
            found_effects.append(PlanEffect(kind=EffectKind.TAKES_EFFECT, text="the policy would take effect"))
        return {
            "severity": severity(self._key[0], differing),
            "effects": worst_effects_first(found_effects),
            "audience": audience(*reach, self._names),
        }

    def _has_effect(self, document: JsonObject) -> bool:
        without = [*self._rules.off.items(), *self._rules.inert.items()]
        return bool(document) and not any(has_value(document, path, value) for path, value in without)

    def _creation(self) -> Iterator[PlannedRequest]:
        rules, planned = self._rules, self._wanted
        later = {part.name for part in rules.parts if not part.in_creation} | rules.not_sent
        body: JsonObject = {name: value for name, value in planned.items() if name not in later and value is not None}
        inert = {} if any(has_value(body, path, value) for path, value in rules.off.items()) else rules.inert
        yield PlannedRequest(
            step=RequestStep.CONTENT, method="POST", path=self._facts.path, body=self._body(_inert(body, inert))
        )
        own = created_id(self._key)
        for part in rules.parts:
            members = planned.get(part.name)
            if members and not part.in_creation:
                yield self._part(part, own)
        for name in rules.last:
            last: JsonObject = {name: body.get(name)}
            if _inert(last, inert) != last:
                yield PlannedRequest(
                    step=RequestStep.EFFECT,
                    method="PATCH",
                    path=f"{self._facts.path}/{own}",
                    body=self._body(last),
                )

    def _update(self, differing: Collection[str]) -> Iterator[PlannedRequest]:
        rules = self._rules
        target_id = "" if self._target is None else self._target.external_id
        parts = {part.name: part for part in rules.parts}
        main = set(differing) - parts.keys()
        if main:
            names = (self._wanted.keys() - parts.keys() - rules.not_sent) | main if rules.replaced else main
            body: JsonObject = {
                name: _with_nulls(self._wanted.get(name), self._current.get(name)) for name in sorted(names)
            }
            if TYPE in self._wanted:
                body[TYPE] = self._wanted[TYPE]
            yield PlannedRequest(
                step=RequestStep.EFFECT if main & set(rules.last) else RequestStep.CONTENT,
                method="PUT" if rules.replaced else "PATCH",
                path=f"{self._facts.path}/{target_id}",
                body=self._body(body),
            )
        for part in rules.parts:
            if part.name in differing or main & set(part.beside):
                yield self._part(part, target_id)

    def _part(self, part: PartRequest, own: str) -> PlannedRequest:
        body: JsonObject = {key: [] for key in part.empty_keys}
        members = self._wanted.get(part.name) or []
        if part.shape is PartShape.ADMINISTRATIVE_TEMPLATES:
            body[part.key] = [_template_value(member) for member in objects_in(members)]
            deleted_ids = [value["id"] for value in objects_in(self._full_current.get(part.name)) if "id" in value]
            if deleted_ids:
                body["deletedIds"] = deleted_ids
        else:
            body[part.key] = [_member(member, part) for member in members] if isinstance(members, list) else members
        body |= {name: self._wanted[name] for name in part.beside if self._wanted.get(name) is not None}
        step = RequestStep.EFFECT if part.is_audience else RequestStep.CONTENT
        return PlannedRequest(step=step, method="POST", path=part.path.replace("{id}", own), body=self._body(body))

    def _body(self, body: JsonObject) -> JsonObject:
        for path in self._rules.ids_alone:
            body = cast("JsonObject", _at(body, path.split("."), _id_alone))
        for name, path in self._rules.bound.items():
            value = body.pop(name, None) if name in body else None
            ids = [
                member["id"] for member in objects_in(value if isinstance(value, list) else [value]) if "id" in member
            ]
            if ids:
                urls: list[JsonValue] = [f"{{graph}}/beta{path}('{target_id}')" for target_id in ids]
                body[f"{name}@odata.bind"] = urls if isinstance(value, list) else urls[0]
        return body


def _member(member: JsonValue, part: PartRequest) -> JsonValue:
    if not isinstance(member, dict):
        return member
    if part.only:
        return {name: member[name] for name in part.only if name in member}
    if part.is_audience:
        return {name: value for name, value in member.items() if name not in ("id", "source", "sourceId")}
    return member


def _template_value(value: JsonObject) -> JsonObject:
    left_out = {"id", "createdDateTime", "lastModifiedDateTime", "definition", "presentation", "presentationValues"}
    definition = _id_of(value.get("definition"))
    url = f"{{graph}}/beta/deviceManagement/groupPolicyDefinitions('{definition}')"
    presentations: list[JsonValue] = [
        {
            **{name: inner for name, inner in member.items() if name not in left_out},
            "presentation@odata.bind": f"{url}/presentations('{_id_of(member.get('presentation'))}')",
        }
        for member in objects_in(value.get("presentationValues"))
    ]
    kept = {name: inner for name, inner in value.items() if name not in left_out}
    return {**kept, "definition@odata.bind": url, "presentationValues": presentations}


def has_ids(values: JsonValue) -> bool:
    """Whether each administrative template value names its definition and presentations."""
    presented = [member for value in objects_in(values) for member in objects_in(value.get("presentationValues"))]
    held = [(value, "definition") for value in objects_in(values)] + [(member, "presentation") for member in presented]
    is_list = values is None or (isinstance(values, list) and len(objects_in(values)) == len(values))
    return is_list and all(isinstance(_id_of(value.get(name)), str) for value, name in held)


def _id_of(value: JsonValue) -> JsonValue:
    return value.get("id") if isinstance(value, dict) else None


def _id_alone(value: JsonValue) -> JsonValue:
    return {"id": value["id"]} if isinstance(value, dict) and "id" in value else value


def _at(value: JsonValue, names: Sequence[str], change: Callable[[JsonValue], JsonValue]) -> JsonValue:
    if not names:
        return change(value)
    if not isinstance(value, dict) or names[0] not in value:
        return value
    return {**value, names[0]: _at(value[names[0]], names[1:], change)}


def _inert(body: JsonObject, inert: Mapping[str, JsonValue]) -> JsonObject:
    for path, value in inert.items():
        body = cast("JsonObject", _at(body, path.split("."), lambda _, value=value: value or None))  # type: ignore[misc]
    return body


def _with_nulls(planned: JsonValue, current: JsonValue) -> JsonValue:
    """Adds nulls for properties that only `current` has, since a PATCH would keep them."""
    if isinstance(current, list) and planned is None:
        return []
    if isinstance(planned, dict) and isinstance(current, dict):
        kept = {name: value for name, value in current.items() if name != TYPE and name not in planned}
        nulls: JsonObject = {name: [] if isinstance(value, list) else None for name, value in kept.items()}
        return {**{name: _with_nulls(value, current.get(name)) for name, value in planned.items()}, **nulls}
    return planned


def has_value(document: JsonValue, path: str, sought: JsonValue) -> bool:
    values: Iterable[JsonValue] = [document]
    for name in path.split("."):
        values = [
            member
            for value in values
            if isinstance(value, dict) and name in value
            for member in (cast("list[JsonValue]", value[name]) if isinstance(value[name], list) else [value[name]])
        ]
    return any(value == sought for value in values)


def _has_mark(value: JsonValue) -> bool:
    if is_mark(value):
        return True
    if isinstance(value, dict):
        return any(map(_has_mark, value.values()))
    return isinstance(value, list) and any(map(_has_mark, value))


def _is_told(own: str, value: JsonValue) -> bool:
    """Whether the value contains the id; False for an id so short that it may occur by chance."""
    return len(own) >= MIN_TELLING_ID_LENGTH and own.encode() in encode(value)


def _replaced(value: JsonValue, ids: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str):
        for own, other in ids.items():
            if len(own) >= MIN_TELLING_ID_LENGTH:
                value = value.replace(own, other)
        return value
    if isinstance(value, dict):
        return {name: _replaced(child, ids) for name, child in value.items()}
    return [_replaced(member, ids) for member in value] if isinstance(value, list) else value
