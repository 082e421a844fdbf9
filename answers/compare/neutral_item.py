"""One item's document without the parts of its tenant, read as far as a comparison needs it."""

from dataclasses import dataclass
from typing import NamedTuple

from inventory.neutral_digest import PartDocument
from inventory.records import DamagedRecord
from inventory.stale import Staleness
from inventory.tenant_neutral import IdTranslation, NeutralDocument


class WholeDocument(NamedTuple):
    """`definition_ids` and `template_names` are those of the stored document."""

    neutral: NeutralDocument
    definition_ids: frozenset[str]
    template_names: dict[tuple[str, str], str]


@dataclass(slots=True)
class NeutralItem:
    """`stored` is canonical JSON. `translations` of the ids in `targets` belong to `digest`, `whole` and `likeness`.

    `names_parts`: the document names parts of other documents, too, so that it is read whole.
    """

    external_id: str
    details_complete: bool = True
    stale: Staleness | None = None
    damaged: DamagedRecord | None = None
    stored: bytes | None = None
    partly: PartDocument | None = None
    targets: tuple[tuple[tuple[str, ...], str], ...] = ()
    names_parts: bool = False
    translations: tuple[IdTranslation, ...] | None = None
    digest: NeutralDocument | None = None
    whole: WholeDocument | None = None
    likeness: bytes | None = None
    has_likeness: bool = False
    kept_bytes: int = 0

    def translated(self, translations: tuple[IdTranslation, ...]) -> None:
        """Forgets what other translations made."""
        if translations != self.translations:
            self.translations = translations
            self.digest = self.whole = self.likeness = None
            self.has_likeness = False
