"""Entries that select: a `$select` shows nothing else, so it names all that the entry is about."""

from graph.catalog import Collection, load_catalog
from graph.catalog.facts import metadata
from tests.each import of_each

SELECTING = {key: entry for key, entry in load_catalog().collections.items() if entry.select}

LEFT_OUT = {
    "groups": {
        # Graph shows them for one group alone, and some of them to signed-in people alone.
        "accessType", "allowExternalSenders", "autoSubscribeNewMembers", "hideFromAddressLists",
        "hideFromOutlookClients", "isArchived", "isFavorite", "isSubscribedByMail", "unseenConversationsCount",
        "unseenCount", "unseenMessagesCount", "welcomeMessageEnabled",
        # What became of licences, and labels that need another permission.
        "hasMembersWithLicenseErrors", "licenseProcessingState", "assignedLabels",
        # Attributes of the local directory, which its administrators keep.
        "onPremisesExtensionAttributes",
    },
}  # fmt: skip
"""https://learn.microsoft.com/graph/api/resources/group"""


def test_the_entries_that_select() -> None:
    assert SELECTING.keys() == LEFT_OUT.keys()


@of_each(SELECTING)
def test_a_property_is_selected_or_left_out_with_reason(entry: Collection) -> None:
    place = metadata(entry.api_version).resolve(entry.path)
    assert place is not None
    assert set(entry.select).isdisjoint(LEFT_OUT[entry.type_key])
    published = metadata(entry.api_version).properties(place.type_name)
    assert {*entry.select, *LEFT_OUT[entry.type_key]} == published.keys()
