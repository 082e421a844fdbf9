"""Entries with `$select`: Graph shows nothing else, so each published property is selected or left out."""

from graph.catalog import Collection, load_catalog
from graph.catalog.facts import metadata
from tests.entry_tests import of_each

SELECTING = {key: entry for key, entry in load_catalog().collections.items() if entry.select}

LEFT_OUT = {
    "groups": {
        # Graph shows them only for a single group, and some only to signed-in people.
        "accessType", "allowExternalSenders", "autoSubscribeNewMembers", "hideFromAddressLists",
        "hideFromOutlookClients", "isArchived", "isFavorite", "isSubscribedByMail", "unseenConversationsCount",
        "unseenCount", "unseenMessagesCount", "welcomeMessageEnabled",
        # States of licences, and labels that need another permission.
        "hasMembersWithLicenseErrors", "licenseProcessingState", "assignedLabels",
        # Attributes of the local directory, which its administrators keep.
        "onPremisesExtensionAttributes",
    },
}  # fmt: skip
"""https://learn.microsoft.com/graph/api/resources/group"""


def test_only_known_entries_use_select() -> None:
    assert SELECTING.keys() == LEFT_OUT.keys()


@of_each(SELECTING)
def test_a_property_is_selected_or_left_out_with_reason(entry: Collection) -> None:
    place = metadata(entry.api_version).resolve(entry.path)
    assert place is not None
    assert set(entry.select).isdisjoint(LEFT_OUT[entry.type_key])
    published = metadata(entry.api_version).properties(place.type_name)
    assert {*entry.select, *LEFT_OUT[entry.type_key]} == published.keys()
