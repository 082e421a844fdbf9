"""A tenant's secret is replaced as docs/operating.md says: two overlap, and the file is read without a restart."""

from datetime import timedelta
from pathlib import Path

from graph.tenants import TenantConfig
from graph.tokens import TokenSource
from graph.trust import ssl_context
from local.simulated_graph import SimulatedGraph
from tests.graph.clients import another_token


async def test_new_secret_replaces_the_old_secret_without_a_refusal(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    with SimulatedGraph(tenants=1, token_lifetime=timedelta(seconds=3)) as graph:
        (tenant,) = graph.tenants
        secret_file.write_text(tenant.client_secret)
        config = TenantConfig.model_validate(
            {"id": tenant.id, "name": "x", "client_id": tenant.client_id, "client_secret_file": secret_file}
        )
        tokens = TokenSource(ssl_context(graph.ca_file), authority_url=graph.authority_url)
        known = {await tokens.token(config)}

        tenant.register_secret("the new one")
        await another_token(tokens, config, known)
        (tmp_path / "secret.new").write_text("the new one")
        (tmp_path / "secret.new").rename(secret_file)
        tenant.withdraw_secret(tenant.client_secret)
        await another_token(tokens, config, known)
        assert "token 401" not in graph.request_counts()
