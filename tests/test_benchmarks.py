"""Requirements of benchmarks on the catalog: a new detail of a collection fails here, not in `make bench`."""

from benchmarks.large_tenant import GENERATED, REAL, collections


def test_collections_of_the_large_tenant_have_no_details() -> None:
    assert [entry.type_key for entry in collections([*GENERATED, *REAL])] == [*GENERATED, *REAL]
