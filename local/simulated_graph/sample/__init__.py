"""A sample tenant, made from its id."""

from local.simulated_graph.documents import Document, complete, made_id
from local.simulated_graph.endpoints import Endpoint
from local.simulated_graph.sample import (
    apps_and_enrollment,
    device_configuration,
    directory,
    enrollment,
    governance,
    identity,
    more_apps,
    more_configuration,
    policies,
    roles_and_tenants,
    services,
    tenant_administration,
)
from local.simulated_graph.sample.draw import Draw, Sample

_SAMPLES = (
    device_configuration.SAMPLES
    | more_configuration.SAMPLES
    | apps_and_enrollment.SAMPLES
    | more_apps.SAMPLES
    | enrollment.SAMPLES
    | tenant_administration.SAMPLES
    | identity.SAMPLES
    | policies.SAMPLES
    | directory.SAMPLES
    | governance.SAMPLES
    | services.SAMPLES
    | roles_and_tenants.SAMPLES
)


def sample_of(endpoint: Endpoint) -> Sample:
    return _SAMPLES[endpoint.path]


def sample_document(endpoint: Endpoint, tenant_id: str, index: int, model: str | None = None) -> Document:
    """Tenants of a `model` have the same document, under their own ids."""
    draw = Draw(tenant_id, endpoint.path, index, model)
    made = made_id(f"{tenant_id}/{endpoint.path}/{index}")
    seed = made if model is None else f"{model}/{endpoint.path}/{index}"
    return complete(sample_of(endpoint).make(draw), endpoint, made, seed)


def sample_documents(
    endpoint: Endpoint, tenant_id: str, count: int | None = None, model: str | None = None
) -> list[Document]:
    """As many as the sample's size, or `count` unless the sample is fixed."""
    sample = sample_of(endpoint)
    size = sample.size if count is None or sample.fixed else count
    return [sample_document(endpoint, tenant_id, index, model) for index in range(size)]
