"""Collections that can be compared with a baseline."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift.baseline_queries import baseline_collections
from answers.drift.records import BaselineRecord, ComparedCollection, LeftOutCollection
from graph.catalog import load_catalog
from inventory.coverage import NEVER_READ, Coverage
from inventory.outcomes import Outcome
from storage.coverage import coverage


class Scope(NamedTuple):
    compared: list[ComparedCollection]
    left_out: list[LeftOutCollection]

    @property
    def type_keys(self) -> list[str]:
        return [collection.type_key for collection in self.compared]


async def scope_of(session: AsyncSession, baseline: BaselineRecord, type_keys: Sequence[str] | None = None) -> Scope:
    """Compares collections that the baseline and the latest run listed to their end. Collections skipped in both are
    not left out, since the tenant cannot have them; `type_keys` that neither has read are.
    """
    then = await baseline_collections(session, baseline.name)
    now = await coverage(session)
    # A run's baseline is about the collections that the run selected, any other about all.
    keys = set(then) if baseline.run_id is not None else {*then, *now}
    compared: list[ComparedCollection] = []
    left_out: list[LeftOutCollection] = []
    for key in sorted(keys - load_catalog().logs if type_keys is None else set(type_keys)):
        title, category = load_catalog().title_of(key), load_catalog().category_of(key)
        before, latest = then.get(key), now.get(key)
        if before is not None and before.outcome is Outcome.COMPLETE and latest is not None and latest.is_current:
            compared.append(
                ComparedCollection(
                    type_key=key,
                    title=title,
                    category=category,
                    baseline_read_at=before.read_at,
                    listed_at=cast("datetime", latest.listed_at),
                )
            )
        elif not _was_never_there(None if before is None else before.outcome, latest):
            left_out.append(
                LeftOutCollection(
                    type_key=key,
                    title=title,
                    category=category,
                    in_baseline=NEVER_READ if before is None else _outcome(before.outcome, before.error_code),
                    now=NEVER_READ if latest is None else latest.reason,
                )
            )
    return Scope(compared, left_out)


def _was_never_there(before: Outcome | None, latest: Coverage | None) -> bool:
    if before is None and latest is None:
        return False  # nobody has looked
    return before in (None, Outcome.SKIPPED) and (latest is None or latest.outcome is Outcome.SKIPPED)


def _outcome(outcome: Outcome, error_code: str | None) -> str:
    return f"{outcome}:{error_code}" if error_code else str(outcome)
