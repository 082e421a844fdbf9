"""Secrets, certificates and tokens that expire."""

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509

from inventory.canonical import JsonObject, JsonValue


class ExpiryPlace(NamedTuple):
    """`members`: the list whose members expire; None if the item does. `certificate`: the field is an X.509
    certificate.
    """

    type_key: str
    members: str | None
    field: str
    what: str
    certificate: bool = False


class Expiry(NamedTuple):
    """`part` identifies the expiring part within the item, `name` is for people."""

    what: str
    part: str
    name: str | None
    at: datetime


PLACES = (
    ExpiryPlace("applications", "passwordCredentials", "endDateTime", "client secret"),
    ExpiryPlace("applications", "keyCredentials", "endDateTime", "certificate"),
    ExpiryPlace("servicePrincipals", "passwordCredentials", "endDateTime", "secret"),
    ExpiryPlace("servicePrincipals", "keyCredentials", "endDateTime", "certificate"),
    ExpiryPlace("applePushNotificationCertificate", None, "expirationDateTime", "Apple push certificate"),
    ExpiryPlace("depOnboardingSettings", None, "tokenExpirationDateTime", "Apple enrollment token"),
    ExpiryPlace("vppTokens", None, "expirationDateTime", "VPP token"),
    ExpiryPlace("androidDeviceOwnerEnrollmentProfiles", None, "tokenExpirationDateTime", "Android enrollment token"),
    ExpiryPlace("androidForWorkEnrollmentProfiles", None, "tokenExpirationDateTime", "Android enrollment token"),
    ExpiryPlace("iosLobAppProvisioningConfigurations", None, "expirationDateTime", "provisioning profile"),
    ExpiryPlace("mobileApps", None, "expirationDateTime", "app package"),
    ExpiryPlace("enterpriseCodeSigningCertificates", None, "expirationDateTime", "code signing certificate"),
    ExpiryPlace("symantecCodeSigningCertificate", None, "expirationDateTime", "code signing certificate"),
    ExpiryPlace("cloudCertificationAuthority", None, "validityEndDateTime", "certification authority"),
    ExpiryPlace("certificateBasedAuthConfigurations", "certificateAuthorities", "expirationDateTime", "authority"),
    # SCEP and Wi-Fi profiles trust these.
    ExpiryPlace("deviceConfigurations", None, "trustedRootCertificate", "trusted root certificate", certificate=True),
)

TYPES = tuple(dict.fromkeys(place.type_key for place in PLACES))


def expiries(type_key: str, document: JsonObject) -> Iterator[Expiry]:
    for place in PLACES:
        if place.type_key != type_key:
            continue
        members = [document] if place.members is None else document.get(place.members)
        for member in members if isinstance(members, list) else ():
            if not isinstance(member, dict):
                continue
            value = member.get(place.field)
            at = _of_certificate(value) if place.certificate else _moment(value)
            if at is not None:
                part = "" if place.members is None else str(member.get("keyId") or member.get("id") or at.isoformat())
                name = None if place.members is None else member.get("displayName")
                yield Expiry(place.what, part, name if isinstance(name, str) else None, at)


def _moment(value: JsonValue) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # Graph writes the year 1 where there is no moment.
    return moment if moment.year > 1900 else None


def _of_certificate(value: JsonValue) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return x509.load_der_x509_certificate(base64.b64decode(value, validate=True)).not_valid_after_utc
    except (binascii.Error, ValueError):
        return None
