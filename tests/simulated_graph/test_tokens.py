"""The token endpoint with real MSAL, and Graph's checks of the tokens."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msal
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from local.simulated_graph import Kind, SimulatedGraph, SimulatedTenant

SCOPE = "https://graph.microsoft.com/.default"
ORGANIZATION = "/v1.0/organization"

Session = Callable[[SimulatedGraph], requests.Session]
SignIn = Callable[..., dict[str, Any]]


@pytest.fixture
def sign_in(graph: SimulatedGraph, tenant: SimulatedTenant, trusting_session: Session) -> SignIn:
    """Asks MSAL for a token with a credential, and returns its answer."""

    def signed_in(credential: Any, *, client_id: str | None = None, scope: str = SCOPE) -> dict[str, Any]:
        app = msal.ConfidentialClientApplication(
            client_id or tenant.client_id,
            client_credential=credential,
            authority=f"{graph.authority_url}/{tenant.id}",
            instance_discovery=False,
            http_client=trusting_session(graph),
        )
        result: dict[str, Any] = app.acquire_token_for_client([scope])
        return result

    return signed_in


@pytest.fixture(scope="session")
def key_and_certificate() -> tuple[bytes, bytes]:
    """A private key and its self-signed certificate, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenant Inventory")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)


def test_secret_gives_a_token_for_its_own_tenant(graph: SimulatedGraph, sign_in: SignIn, connect: Any) -> None:
    token = sign_in(graph.tenants[0].client_secret)["access_token"]

    client = connect(graph, signed_in=False)
    organizations = client.get(ORGANIZATION, headers={"Authorization": f"Bearer {token}"}).json()["value"]
    assert [organization["id"] for organization in organizations] == [graph.tenants[0].id]


def test_scope_may_name_the_simulated_graph(graph: SimulatedGraph, sign_in: SignIn) -> None:
    assert "access_token" in sign_in(graph.tenants[0].client_secret, scope=f"{graph.base_url}/.default")


def test_registered_certificate_gives_a_token(
    tenant: SimulatedTenant, sign_in: SignIn, key_and_certificate: tuple[bytes, bytes]
) -> None:
    key, certificate = key_and_certificate
    credential = {"private_key": key.decode(), "public_certificate": certificate.decode()}
    assert sign_in(credential)["error_codes"] == [700027]

    tenant.register_certificate(certificate)
    assert "access_token" in sign_in(credential)


def test_signature_of_another_key_is_refused(
    tenant: SimulatedTenant, sign_in: SignIn, key_and_certificate: tuple[bytes, bytes]
) -> None:
    _, certificate = key_and_certificate
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    tenant.register_certificate(certificate)

    answer = sign_in({"private_key": private.decode(), "public_certificate": certificate.decode()})
    assert answer["error_codes"] == [700027]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"sub": "another app"}, 700027),
        ({"iss": "another app"}, 700027),
        ({"aud": "https://login.example/token"}, 700027),
        ({"exp": 0}, 700024),
    ],
)
def test_claims_of_an_assertion_are_checked(
    graph: SimulatedGraph,
    tenant: SimulatedTenant,
    sign_in: SignIn,
    key_and_certificate: tuple[bytes, bytes],
    changes: dict[str, Any],
    code: int | None,
) -> None:
    key, certificate = key_and_certificate
    tenant.register_certificate(certificate)
    thumbprint = x509.load_pem_x509_certificate(certificate).fingerprint(SHA256())
    claims = {
        "aud": f"{graph.authority_url}/{tenant.id}/oauth2/v2.0/token",
        "iss": tenant.client_id,
        "sub": tenant.client_id,
        "exp": datetime.now(UTC) + timedelta(minutes=5),
    }
    headers = {"x5t#S256": base64.urlsafe_b64encode(thumbprint).decode().rstrip("=")}
    assertion = jwt.encode({**claims, **changes}, key, algorithm="RS256", headers=headers)

    answer = sign_in({"client_assertion": lambda: assertion})
    assert answer.get("error_codes") == (None if code is None else [code])


def test_registered_federated_token_gives_a_token(tenant: SimulatedTenant, sign_in: SignIn) -> None:
    tenant.register_federated_token("from another issuer")
    assert "access_token" in sign_in({"client_assertion": lambda: "from another issuer"})
    assert sign_in({"client_assertion": lambda: "from somebody else"})["error_codes"] == [700027]


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"credential": "wrong"}, "invalid_client", 7000215),
        ({"client_id": "00000000-0000-0000-0000-000000000001"}, "unauthorized_client", 700016),
        ({"scope": "https://graph.microsoft.com/User.Read"}, "invalid_scope", 1002012),
        ({"scope": "https://other.example/.default"}, "invalid_resource", 500011),
    ],
)
def test_refusals_have_entras_codes(
    graph: SimulatedGraph, sign_in: SignIn, changes: dict[str, str], error: str, code: int
) -> None:
    answer = sign_in(**{"credential": graph.tenants[0].client_secret, **changes})
    assert answer["error"] == error
    assert answer["error_codes"] == [code]
    assert answer["error_description"].startswith(f"AADSTS{code}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= answer.keys()


def test_unknown_tenant_is_refused_by_discovery_and_token_endpoint(graph: SimulatedGraph, connect: Any) -> None:
    client = connect(graph, signed_in=False)
    nobody = "00000000-0000-0000-0000-000000000009"
    discovery = client.get(f"/{nobody}/v2.0/.well-known/openid-configuration")
    token = client.post(f"/{nobody}/oauth2/v2.0/token", data={"grant_type": "client_credentials"})
    assert [(response.status_code, response.json()["error_codes"]) for response in (discovery, token)] == [
        (400, [90002])
    ] * 2


def test_graph_refuses_missing_wrong_and_expired_tokens(
    graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any
) -> None:
    client = connect(graph, signed_in=False)
    expired = tenant.token(timedelta(seconds=-1))
    answers = [
        client.get(ORGANIZATION, headers=headers)
        for headers in (
            {},
            {"Authorization": "Bearer x.y.z"},
            {"Authorization": f"Bearer {tenant.token()[:-4]}AAAA"},
            {"Authorization": f"Bearer {expired}"},
        )
    ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert {answer.json()["error"]["code"] for answer in answers} == {"InvalidAuthenticationToken"}
    assert all(answer.headers["WWW-Authenticate"].startswith("Bearer ") for answer in answers)
    assert "expired" in answers[-1].json()["error"]["message"]


def test_certificate_names_localhost(sample: SimulatedGraph, connect: Any) -> None:
    address = sample.base_url.replace("127.0.0.1", "localhost")
    assert connect(sample).get(f"{address}{ORGANIZATION}").status_code == 200


def test_token_shows_only_its_tenant(sample: SimulatedGraph, connect: Any) -> None:
    listings = [
        connect(sample, tenant).get("/beta/deviceManagement/deviceConfigurations").json()["value"]
        for tenant in sample.tenants
    ]
    ids = [{document["id"] for document in documents} for documents in listings]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]


def test_requests_keep_a_fingerprint_and_no_credential(graph: SimulatedGraph, sign_in: SignIn, connect: Any) -> None:
    sign_in(graph.tenants[0].client_secret)
    connect(graph).get(ORGANIZATION)

    token_request = graph.requests(Kind.TOKEN)[-1]
    assert (token_request.method, token_request.status, token_request.tenant_id) == ("POST", 200, graph.tenants[0].id)
    recorded = repr(graph.requests())
    assert graph.tenants[0].client_secret not in recorded
    assert graph.tenants[0].token() not in recorded
    assert graph.requests(Kind.DIRECT)[-1].token_fingerprint is not None
