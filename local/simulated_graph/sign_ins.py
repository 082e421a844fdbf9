"""Entra's sign-in of people: authorization endpoint, code grant with PKCE, signed ID tokens, keys."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from secrets import token_urlsafe
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from local.simulated_graph.credentials import Credentials
from local.simulated_graph.messages import Answer, GraphRequest

CODE_SECONDS = 600
ID_TOKEN_SECONDS = 3600


class SignInFault(StrEnum):
    WRONG_NONCE = "wrong_nonce"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_ISSUER = "wrong_issuer"
    OTHER_TENANT = "other_tenant"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    FOREIGN_KEY = "foreign_key"
    UNKNOWN_KEY = "unknown_key"
    UNSIGNED = "unsigned"
    SYMMETRIC = "symmetric"
    NO_OBJECT_ID = "no_object_id"
    NO_ID_TOKEN = "no_id_token"  # noqa: S105 (a kind of fault)


@dataclass(frozen=True, slots=True)
class SimulatedPerson:
    """A person who can sign in to a tenant's app, with app roles."""

    object_id: str
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Code:
    tenant_id: str
    client_id: str
    redirect_uri: str
    nonce: str
    challenge: str
    person: SimulatedPerson
    until: float


@dataclass(slots=True)
class SignIns:
    """People and redirect addresses of each tenant's app. Thread-safe. `fault` spoils ID tokens."""

    base_url: str
    tenants: Mapping[str, Credentials]
    fault: SignInFault | None = None
    people: dict[str, list[SimulatedPerson]] = field(default_factory=dict)
    redirect_uris: dict[str, set[str]] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _keys: dict[str, RSAPrivateKey] = field(default_factory=dict)

    def register(self, tenant_id: str, redirect_uri: str, *people: SimulatedPerson) -> None:
        with self._lock:
            self.redirect_uris.setdefault(tenant_id, set()).add(redirect_uri)
            self.people.setdefault(tenant_id, []).extend(people)

    def rotate_key(self) -> None:
        """Replaces the only key of the key set."""
        with self._lock:
            self._keys.clear()

    def keys(self) -> dict[str, Any]:
        key_id, key = self._signing_key()
        public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        issuer = f"{self.base_url}/{{tenantid}}/v2.0"
        return {"keys": [{**public, "kid": key_id, "use": "sig", "alg": "RS256", "issuer": issuer}]}

    def authorize(self, request: GraphRequest, tenant_id: str) -> Answer:
        """Sends the browser back with a code for the person `login_hint`, or shows the people."""
        query = dict(parse_qsl(request.query))
        owner = self.owner(tenant_id, query.get("client_id", ""))
        if owner is None:
            return _page(400, "AADSTS700016: the application was not found in the directory.")
        if query.get("redirect_uri") not in self.redirect_uris.get(owner, set()):
            return _page(400, "AADSTS50011: The redirect URI does not match those of the application.")
        back = {"state": query.get("state", "")}
        if query.get("response_type") != "code" or query.get("code_challenge_method") != "S256":
            return self._sent_back(query, {**back, **_error("invalid_request", 9002325, "PKCE is required.")})
        if "openid" not in query.get("scope", "").split():
            return self._sent_back(query, {**back, **_error("invalid_scope", 70011, "The scope openid is missing.")})
        hint = query.get("login_hint")
        people = {person.name: person for person in self.people.get(owner, [])}
        if hint not in people:
            links = "".join(
                f'<p><a href="?{escape(urlencode({**query, "login_hint": name}))}">{escape(name)}</a></p>'
                for name in people
            )
            return _page(200, "Pick an account", links)
        code = token_urlsafe()
        with self._lock:
            self._codes[code] = _Code(
                owner, query["client_id"], query["redirect_uri"], query.get("nonce", ""),
                query.get("code_challenge", ""), people[hint], time.monotonic() + CODE_SECONDS,
            )  # fmt: skip
        return self._sent_back(query, {**back, "code": code, "session_state": token_urlsafe(8)})

    def redeem(self, form: Mapping[str, str]) -> tuple[int, str] | dict[str, Any]:
        """The token answer for a proven client, or an AADSTS code and text."""
        code = form.get("code", "")
        with self._lock:
            if code in self._used:
                return 54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code."
            handed_out = self._codes.pop(code, None)
            self._used.add(code)
        if handed_out is None or handed_out.client_id != form.get("client_id"):
            return 9002313, "Invalid request. Request is malformed or invalid."
        if handed_out.until < time.monotonic():
            return 70008, "The provided authorization code has expired."
        if handed_out.redirect_uri != form.get("redirect_uri"):
            return 500112, "The reply address does not match the one of the authorization request."
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if not hmac.compare_digest(base64.urlsafe_b64encode(verifier).rstrip(b"=").decode(), handed_out.challenge):
            return 501481, "The Code_Verifier does not match the code_challenge of the authorization request."
        if self.fault is SignInFault.NO_ID_TOKEN:
            return {}
        return {"id_token": self._id_token(handed_out)}

    def owner(self, tenant_id: str, client_id: str) -> str | None:
        """The app's tenant; `organizations` means any tenant."""
        if tenant_id != "organizations":
            credentials = self.tenants.get(tenant_id)
            return tenant_id if credentials is not None and credentials.client_id == client_id else None
        return next((owner for owner, app in self.tenants.items() if app.client_id == client_id), None)

    def _sent_back(self, query: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
        return Answer(302, b"", {"Location": f"{query['redirect_uri']}?{urlencode(parameters)}"})

    def _signing_key(self) -> tuple[str, RSAPrivateKey]:
        with self._lock:
            if not self._keys:
                self._keys[token_urlsafe(8)] = generate_private_key(public_exponent=65537, key_size=2048)
            return next(iter(self._keys.items()))

    def _id_token(self, code: _Code) -> str:
        now, key_id, key, algorithm = int(time.time()), *self._signing_key(), "RS256"
        claims: dict[str, Any] = {
            "aud": code.client_id,
            "iss": f"{self.base_url}/{code.tenant_id}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + ID_TOKEN_SECONDS,
            "name": code.person.name.partition("@")[0],
            "nonce": code.nonce,
            "oid": code.person.object_id,
            "preferred_username": code.person.name,
            "sub": token_urlsafe(16),
            "tid": code.tenant_id,
            "ver": "2.0",
        }
        if code.person.roles:
            claims["roles"] = list(code.person.roles)
        claims |= self._spoilt(code.tenant_id, now)
        if self.fault is SignInFault.NO_OBJECT_ID:
            del claims["oid"]
        signing: Any = key
        match self.fault:
            case SignInFault.FOREIGN_KEY:
                signing = generate_private_key(public_exponent=65537, key_size=2048)
            case SignInFault.UNKNOWN_KEY:
                key_id = "nobody's"
            case SignInFault.UNSIGNED:
                signing, algorithm = None, "none"
            case SignInFault.SYMMETRIC:
                signing, algorithm = "a secret of 32 bytes that is known to all", "HS256"
        return jwt.encode(claims, signing, algorithm=algorithm, headers={"kid": key_id})

    def _spoilt(self, tenant_id: str, now: int) -> dict[str, Any]:
        other = next((other for other in self.tenants if other != tenant_id), "nobody")
        match self.fault:
            case SignInFault.WRONG_NONCE:
                return {"nonce": token_urlsafe(16)}
            case SignInFault.WRONG_AUDIENCE:
                return {"aud": other}
            case SignInFault.WRONG_ISSUER:
                return {"iss": f"https://login.example/{tenant_id}/v2.0"}
            case SignInFault.OTHER_TENANT:
                return {"tid": other, "iss": f"{self.base_url}/{other}/v2.0"}
            case SignInFault.EXPIRED:
                return {"iat": now - 7200, "nbf": now - 7200, "exp": now - 3600}
            case SignInFault.NOT_YET_VALID:
                return {"nbf": now + 3600, "exp": now + 7200}
        return {}


def _error(name: str, code: int, message: str) -> dict[str, str]:
    return {"error": name, "error_description": f"AADSTS{code}: {message}"}


def _page(status: int, title: str, content: str = "") -> Answer:
    page = f"<!doctype html><title>Sign in</title><h1>{escape(title)}</h1>{content}"
    return Answer(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
