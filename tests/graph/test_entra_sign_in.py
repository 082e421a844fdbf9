"""Sign-in with Entra ID over HTTPS with real MSAL, and the tokens that it refuses."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from graph import entra_sign_in
from graph.entra_sign_in import EntraSignIn, Flow, SignInRefusedError, SignInUnavailableError
from graph.tenants import TenantConfig
from graph.trust import ssl_context
from local.simulated_graph import SignInFault, SimulatedGraph, SimulatedPerson, SimulatedTenant
from tests.deadlines import DEADLINE_SECONDS

REDIRECT = "https://inventory.example/sign-in/entra"
ADA = SimulatedPerson(str(uuid4()), "ada@contoso.example", ("Reader", "Approver"))
EVE = SimulatedPerson(str(uuid4()), "eve@contoso.example", ())


@pytest.fixture(scope="module")
def authority() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=2) as server:
        server.sign_ins.register(server.tenants[0].id, REDIRECT, ADA, EVE)
        yield server


@pytest.fixture
def graph(authority: SimulatedGraph) -> Iterator[SimulatedGraph]:
    yield authority
    authority.sign_ins.fault = None


@pytest.fixture
def tenant(graph: SimulatedGraph) -> SimulatedTenant:
    return graph.tenants[0]


def app_of(tenant: SimulatedTenant, folder: Path, secret: str | None = None) -> TenantConfig:
    file = folder / "secret"
    file.write_text(secret or tenant.client_secret)
    return TenantConfig(id=UUID(tenant.id), name="sign-in", client_id=tenant.client_id, client_secret_file=file)


def sign_in_of(graph: SimulatedGraph, app: TenantConfig, *allowed: str) -> EntraSignIn:
    return EntraSignIn(
        app,
        [UUID(tenant_id) for tenant_id in allowed] or [app.id],
        ssl_context(graph.ca_file),
        authority_url=graph.authority_url,
    )


@pytest.fixture
def entra(graph: SimulatedGraph, tenant: SimulatedTenant, tmp_path: Path) -> EntraSignIn:
    return sign_in_of(graph, app_of(tenant, tmp_path))


def at_entra(graph: SimulatedGraph, flow: Flow, person: SimulatedPerson | None = ADA) -> httpx.Response:
    """Entra's answer to a browser that chooses a person."""
    address = flow["auth_uri"] + (f"&login_hint={person.name}" if person else "")
    with httpx.Client(verify=ssl_context(graph.ca_file), timeout=DEADLINE_SECONDS, trust_env=False) as browser:
        return browser.get(address)


def answer_of(response: httpx.Response) -> dict[str, str]:
    """The query parameters that the browser brings back."""
    assert response.status_code == 302, response.text
    assert response.headers["location"].startswith(f"{REDIRECT}?")
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def test_identity_has_ids_and_the_assigned_roles(
    graph: SimulatedGraph, tenant: SimulatedTenant, entra: EntraSignIn
) -> None:
    flow = entra.begin(REDIRECT)
    identity = entra.finish(flow, answer_of(at_entra(graph, flow)))
    assert identity == (UUID(tenant.id), UUID(ADA.object_id), ADA.name, ["Reader", "Approver"])
    flow = entra.begin(REDIRECT)
    assert entra.finish(flow, answer_of(at_entra(graph, flow, EVE))).roles == []


def test_people_of_several_tenants_sign_in_to_the_organizations_authority(
    graph: SimulatedGraph, tenant: SimulatedTenant, tmp_path: Path
) -> None:
    entra = sign_in_of(graph, app_of(tenant, tmp_path), tenant.id, graph.tenants[1].id)
    flow = entra.begin(REDIRECT)
    assert "/organizations/" in flow["auth_uri"]
    assert entra.finish(flow, answer_of(at_entra(graph, flow))).tenant_id == UUID(tenant.id)
    graph.sign_ins.fault = SignInFault.WRONG_ISSUER
    flow = entra.begin(REDIRECT)
    with pytest.raises(SignInRefusedError, match="another issuer"):
        entra.finish(flow, answer_of(at_entra(graph, flow)))


REFUSALS = {
    SignInFault.WRONG_NONCE: "does not belong to this sign-in",
    SignInFault.WRONG_AUDIENCE: "for another app",
    SignInFault.WRONG_ISSUER: "another issuer",
    SignInFault.OTHER_TENANT: "another issuer",
    SignInFault.EXPIRED: "has expired",
    SignInFault.NOT_YET_VALID: "not valid",
    SignInFault.FOREIGN_KEY: "not valid",
    SignInFault.UNKNOWN_KEY: "not signed by a key of Entra",
    SignInFault.UNSIGNED: "not valid",
    SignInFault.SYMMETRIC: "not valid",
    SignInFault.NO_OBJECT_ID: "not valid",
    SignInFault.NO_ID_TOKEN: "no ID token",
}


@pytest.mark.parametrize("fault", SignInFault)
def test_invalid_token_is_refused(graph: SimulatedGraph, entra: EntraSignIn, fault: SignInFault) -> None:
    graph.sign_ins.fault = fault
    flow = entra.begin(REDIRECT)
    with pytest.raises(SignInRefusedError, match=REFUSALS[fault]) as refused:
        entra.finish(flow, answer_of(at_entra(graph, flow)))
    assert len(str(refused.value).splitlines()) == 1
    assert "eyJ" not in str(refused.value), "no token is repeated"


def test_people_of_other_tenants_are_refused(graph: SimulatedGraph, tenant: SimulatedTenant, tmp_path: Path) -> None:
    """The issuer is right, since the organizations authority signs for every tenant."""
    entra = sign_in_of(graph, app_of(tenant, tmp_path), tenant.id, str(uuid4()))
    graph.sign_ins.fault = SignInFault.OTHER_TENANT
    flow = entra.begin(REDIRECT)
    with pytest.raises(SignInRefusedError, match="people of your tenant may not sign in here"):
        entra.finish(flow, answer_of(at_entra(graph, flow)))


def test_code_is_redeemed_once_and_only_for_its_flow(graph: SimulatedGraph, entra: EntraSignIn) -> None:
    flow, other = entra.begin(REDIRECT), entra.begin(REDIRECT)
    answer = answer_of(at_entra(graph, flow))
    with pytest.raises(SignInRefusedError, match="not the answer to the sign-in that this browser began"):
        entra.finish(other, answer)
    with pytest.raises(SignInRefusedError, match="AADSTS501481"):
        entra.finish(other, {**answer, "state": other["state"]})
    answer = answer_of(at_entra(graph, flow))
    entra.finish(flow, answer)
    with pytest.raises(SignInRefusedError, match="AADSTS54005"):
        entra.finish(flow, answer)


def test_entras_refusal_is_reported_by_its_code(graph: SimulatedGraph, entra: EntraSignIn) -> None:
    flow = entra.begin(REDIRECT)
    refusal = {"state": flow["state"], "error": "access_denied", "error_description": "AADSTS65004: <b>declined</b>"}
    with pytest.raises(SignInRefusedError) as refused:
        entra.finish(flow, refusal)
    assert str(refused.value) == "Entra ID refused the sign-in: AADSTS65004"
    for nothing in ({}, {"state": ""}, {"state": flow["state"]}):
        with pytest.raises(SignInRefusedError):
            entra.finish(flow, nothing)


def test_unregistered_redirect_address_gets_no_code(graph: SimulatedGraph, entra: EntraSignIn) -> None:
    response = at_entra(graph, entra.begin("https://evil.example/sign-in/entra"))
    assert response.status_code == 400
    assert "AADSTS50011" in response.text


def test_wrong_secret_is_refused(graph: SimulatedGraph, tenant: SimulatedTenant, tmp_path: Path) -> None:
    entra = sign_in_of(graph, app_of(tenant, tmp_path, "wrong"))
    flow = entra.begin(REDIRECT)
    with pytest.raises(SignInRefusedError, match="AADSTS7000215"):
        entra.finish(flow, answer_of(at_entra(graph, flow)))


def test_new_signing_key_is_fetched(graph: SimulatedGraph, entra: EntraSignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def signs_in() -> bool:
        flow = entra.begin(REDIRECT)
        try:
            return bool(entra.finish(flow, answer_of(at_entra(graph, flow))))
        except SignInRefusedError:
            return False

    assert signs_in()
    graph.sign_ins.rotate_key()
    assert not signs_in(), "unknown keys do not cause a request at every sign-in"
    monkeypatch.setattr(entra_sign_in, "KEYS_PAUSE_SECONDS", 0)
    assert signs_in()


def test_unreachable_authority_or_unknown_tenant_is_unavailable(
    graph: SimulatedGraph, tenant: SimulatedTenant, tmp_path: Path
) -> None:
    app = app_of(tenant, tmp_path)
    unreachable = EntraSignIn(app, [app.id], ssl_context(graph.ca_file), authority_url="https://127.0.0.1:1")
    with pytest.raises(SignInUnavailableError, match=r"127\.0\.0\.1:1 refuses connections"):
        unreachable.begin(REDIRECT)
    unknown = sign_in_of(graph, app.model_copy(update={"id": uuid4()}))
    with pytest.raises(SignInUnavailableError, match="was not understood"):
        unknown.begin(REDIRECT)
