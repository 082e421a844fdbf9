"""One test of many entries, which names the entries that fail."""

from collections.abc import Callable, Mapping
from typing import TypeVar

EntryT = TypeVar("EntryT")


def of_each(entries: Mapping[str, EntryT]) -> Callable[[Callable[[EntryT], None]], Callable[[], None]]:
    """Turns a check of one entry into a test of all entries."""

    def decorate(check: Callable[[EntryT], None]) -> Callable[[], None]:
        def test() -> None:
            assert entries, "a test of nothing cannot fail"
            failed = {}
            for name, entry in entries.items():
                try:
                    check(entry)
                except AssertionError as error:
                    failed[name] = str(error)
            assert not failed, "\n".join(f"{name}: {reason}" for name, reason in failed.items())

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return test

    return decorate
