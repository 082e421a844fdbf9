"""Changes and missing items as events, without values."""

from answers.changes.records import ChangeKind, ChangeRecord
from answers.drift.answer import FindingKind, direction_of, severity_of
from answers.field_labels import FieldChange
from answers.notifications.rules import titled
from graph.catalog import load_catalog
from inventory.differences import DifferenceKind
from inventory.notifications import NotificationEvent, NotificationKind
from inventory.severity import ProtectionEffect, Severity

NAMED_FIELDS = 3

_WORDS = {
    ChangeKind.APPEARED: "appeared",
    ChangeKind.RECREATED: "was re-created",
    ChangeKind.CHANGED: "changed",
    ChangeKind.RENAMED: "was renamed",
    ChangeKind.MISSING: "is gone",
    ChangeKind.CAME_BACK: "came back",
}

_ITEM_KINDS = {
    ChangeKind.APPEARED: FindingKind.ITEM_ADDED,
    ChangeKind.RECREATED: FindingKind.ITEM_ADDED,
    ChangeKind.CAME_BACK: FindingKind.ITEM_ADDED,
    ChangeKind.MISSING: FindingKind.ITEM_MISSING,
}

_KINDS = {
    DifferenceKind.ADDED: FindingKind.ADDED,
    DifferenceKind.REMOVED: FindingKind.REMOVED,
}


def change_event(change: ChangeRecord) -> NotificationEvent | None:
    """None for an item not known to be gone."""
    collection = load_catalog().collections.get(change.type_key)
    is_missing = change.kind is ChangeKind.MISSING
    if is_missing and change.evidence != "confirmed" and collection is not None and collection.confirmable:
        return None
    moment = change.noticed_at.isoformat() if change.version is None else change.version
    return NotificationEvent(
        kind=NotificationKind.MISSING if is_missing else NotificationKind.CHANGE,
        severity=_severity(change),
        key=f"{change.type_key}\n{change.external_id}\n{change.kind}\n{moment}",
        text=_in_words(change),
        type_key=change.type_key,
        category=None if collection is None else collection.category,
        external_id=change.external_id,
        effect=_effect(change),
    )


def _severity(change: ChangeRecord) -> Severity:
    if change.kind in _ITEM_KINDS:
        return severity_of(change.type_key, _ITEM_KINDS[change.kind], "")
    order = list(Severity)
    severities = [
        severity_of(change.type_key, _kind(field), field.path, field.before, field.after)
        for field in change.fields or ()
    ]
    return min(severities, key=order.index, default=Severity.MEDIUM)


def _effect(change: ChangeRecord) -> ProtectionEffect | None:
    if change.kind in _ITEM_KINDS:
        return None
    effects = {_effect_of(change, field) for field in change.fields or ()}
    return next((effect for effect in ProtectionEffect if effect in effects), None)


def _effect_of(change: ChangeRecord, field: FieldChange) -> ProtectionEffect | None:
    return direction_of(change.type_key, _kind(field), field.path, field.before, field.after)


def _kind(field: FieldChange) -> FindingKind:
    return _KINDS.get(field.kind, FindingKind.CHANGED)


def _in_words(change: ChangeRecord) -> str:
    """`Require MFA (Conditional Access policies) was weakened: state`."""
    subject = titled(change.title, change.kind_of_one)
    effect = _effect(change)
    if effect is ProtectionEffect.WEAKENS:
        word = "was weakened"
    elif effect is ProtectionEffect.STRENGTHENS:
        word = "was strengthened"
    else:
        word = _WORDS[change.kind]
    labels = list(dict.fromkeys("a hidden value" if field.hidden else field.label for field in _ranked(change)))
    more = f" and {len(labels) - NAMED_FIELDS} more" if len(labels) > NAMED_FIELDS else ""
    return f"{subject} {word}" + (f": {', '.join(labels[:NAMED_FIELDS])}{more}" if labels else "")


def _ranked(change: ChangeRecord) -> list[FieldChange]:
    fields = change.fields or ()
    return sorted(fields, key=lambda field: _effect_of(change, field) is not ProtectionEffect.WEAKENS)
