"""Whether a finding weakens or strengthens protection."""

import re
from functools import cache

from pydantic import BaseModel

from answers.drift.rules import FindingKind
from graph.catalog import load_catalog
from inventory.canonical import JsonValue
from inventory.severity import ProtectionEffect
from inventory.toml_file import table_beside

MEMBER = re.compile(r"\[(.*?)\](?=\.|\[|$)")

_VERSION = re.compile(r"\d+(\.\d+)+")


class DirectionRule(BaseModel, frozen=True, extra="forbid"):
    """A row of `direction.toml`: the fields that it fits, and the effect of each change of their values.

    `paths` are whole, without list members; `name` is a regular expression for the last property; `members` are
    beginnings of a list member on the path. `scale` lists values, weakest first. `added` and `removed` are about values
    and list members, `raised` and `lowered` about numbers, versions and truth values. Adding a `strongest` member
    strengthens and removing it weakens, whatever else changes; `void` members have no effect. `source` is Microsoft's
    page.
    """

    why: str
    source: str
    types: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    name: str = ""
    members: tuple[str, ...] = ()
    scale: tuple[str, ...] = ()
    added: ProtectionEffect | None = None
    removed: ProtectionEffect | None = None
    strongest: frozenset[str] = frozenset()
    void: frozenset[str] = frozenset()
    raised: ProtectionEffect | None = None
    lowered: ProtectionEffect | None = None

    def fits(self, type_key: str, category: str | None, path: str) -> bool:
        properties = properties_of(path)
        return (
            (not self.types or type_key in self.types)
            and (not self.categories or category in self.categories)
            and (not self.paths or properties in self.paths)
            and (not self.name or re.search(self.name, properties.rpartition(".")[2]) is not None)
            and (not self.members or any(label.startswith(self.members) for label in MEMBER.findall(path)))
        )

    def direction(self, kind: FindingKind, before: JsonValue, after: JsonValue) -> ProtectionEffect | None:
        if isinstance(before, str) and isinstance(after, str) and {before, after} <= set(self.scale):
            if before == after:
                return None
            return (
                ProtectionEffect.STRENGTHENS
                if self.scale.index(before) < self.scale.index(after)
                else ProtectionEffect.WEAKENS
            )
        if isinstance(before, bool | None) and isinstance(after, bool | None):
            # An absent truth value means false.
            way = bool(after) - bool(before)
        elif kind is FindingKind.ADDED or _is_absent(before):
            return self.added
        elif kind is FindingKind.REMOVED or _is_absent(after):
            return self.removed
        else:
            way = _order(before, after)
        return None if way == 0 else self.raised if way > 0 else self.lowered

    def direction_of_list(self, removed: list[JsonValue], added: list[JsonValue]) -> ProtectionEffect | None:
        """Weakens if one member's change does, strengthens if all do."""
        if self.strongest.intersection(map(str, added)):
            return ProtectionEffect.STRENGTHENS
        if self.strongest.intersection(map(str, removed)):
            return ProtectionEffect.WEAKENS
        effects = {
            effect
            for members, effect in ((removed, self.removed), (added, self.added))
            if any(str(member) not in self.void for member in members)
        }
        if ProtectionEffect.WEAKENS in effects:
            return ProtectionEffect.WEAKENS
        return ProtectionEffect.STRENGTHENS if effects == {ProtectionEffect.STRENGTHENS} else None


def properties_of(path: str) -> str:
    """The path without list members."""
    return MEMBER.sub("", path)


def direction_of(
    type_key: str, kind: FindingKind, path: str, before: JsonValue, after: JsonValue
) -> ProtectionEffect | None:
    """The first fitting row decides; None without one.

    A missing item's `before` is the property by which the item protected (`answers.drift.presence`).
    """
    if kind is FindingKind.ITEM_MISSING:
        return None if before is None else ProtectionEffect.WEAKENS
    if not path or kind not in (FindingKind.ADDED, FindingKind.REMOVED, FindingKind.CHANGED):
        return None
    category = load_catalog().category_of(type_key)
    row = next((row for row in direction_rules() if row.fits(type_key, category, path)), None)
    if row is None:
        return None
    if path.endswith("[]"):
        return row.direction_of_list(_members(before), _members(after))
    return row.direction(kind, before, after)


@cache
def direction_rules() -> tuple[DirectionRule, ...]:
    """Raises `ValueError` for a wrong row."""
    table = table_beside(__file__, "direction.toml")
    return tuple(DirectionRule.model_validate(row) for row in table["row"])


def _members(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_absent(value: JsonValue) -> bool:
    return value is None or value in ("", [], {})


def _order(before: JsonValue, after: JsonValue) -> int:
    """1 if numbers or versions rise, -1 if they fall, else 0."""
    old, new = _number(before), _number(after)
    if old is None or new is None:
        return 0
    return (new > old) - (new < old)


def _number(value: JsonValue) -> tuple[float, ...] | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return tuple(float(part) for part in value.split(".")) if _VERSION.fullmatch(value) else None
    return (float(value),) if isinstance(value, int | float) else None
