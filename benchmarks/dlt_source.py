"""The same collections, loaded into PostgreSQL by dlt's REST API source.

`benchmarks.large_tenant` runs it with the Python of an environment that has dlt. Arguments are
`name=version/path?query`, with `--merge` before them to update the tables. Addresses and credentials come in the
environment. It prints one line of JSON: the number of rows afterwards, and the seconds.

dlt is given its fast ways: collections side by side, CSV and COPY, one row an object with nested values as JSON, and a
first load that appends.
"""

import json
import os
import sys
import time
from typing import Any

import dlt  # type: ignore[import-not-found]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]


def source(resources: dict[str, str], *, merge: bool) -> Any:
    """The collections by the names of their tables: each path with its version and query."""
    graph, authority = os.environ["GRAPH_BASE_URL"], os.environ["GRAPH_AUTHORITY_URL"]
    return rest_api_source(
        {
            "client": {
                "base_url": f"{graph}/",
                "headers": {"Accept": "application/json", "Prefer": "include-unknown-enum-members"},
                "auth": {
                    "type": "oauth2_client_credentials",
                    "access_token_url": f"{authority}/{os.environ['TENANT_ID']}/oauth2/v2.0/token",
                    "client_id": os.environ["CLIENT_ID"],
                    "client_secret": os.environ["CLIENT_SECRET"],
                    "access_token_request_data": {"scope": "https://graph.microsoft.com/.default"},
                },
                "paginator": {"type": "json_link", "next_url_path": "['@odata.nextLink']"},
            },
            "resource_defaults": {
                "primary_key": "id",
                "write_disposition": "merge" if merge else "append",
                "parallelized": True,
                "max_table_nesting": 0,
                "file_format": "csv",
            },
            "resources": [
                {"name": name, "endpoint": {"path": path, "data_selector": "value"}} for name, path in resources.items()
            ],
        }
    )


def main() -> None:
    """Loads them, once."""
    merge = sys.argv[1] == "--merge"
    resources = dict(argument.split("=", 1) for argument in sys.argv[1 + merge :])
    began = time.perf_counter()
    pipeline = dlt.pipeline(
        "large_tenant",
        pipelines_dir=os.environ["PIPELINES_FOLDER"],
        destination=dlt.destinations.postgres(os.environ["DATABASE_URL"]),
        dataset_name="dlt",
    )
    pipeline.run(source(resources, merge=merge))
    seconds = time.perf_counter() - began
    with pipeline.sql_client() as client:
        tables = [client.make_qualified_table_name(name) for name in pipeline.default_schema.data_table_names()]
        rows = sum(client.execute_sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables)  # noqa: S608
    print(json.dumps({"seconds": seconds, "items": rows}))


if __name__ == "__main__":
    main()
