"""The page shows the tenants of a tenants file and does not change them."""

from uuid import uuid4

import httpx

from inventory.people import Role
from tests.web.support import CONTOSO, words_of


async def test_tenants_of_the_file_are_shown_and_not_changed(clients: dict[Role, httpx.AsyncClient]) -> None:
    admin = clients[Role.ADMIN]
    page = await words_of(admin, "/configured-tenants")
    assert "Contoso" in page
    assert "kept in the tenants file" in page
    assert "Add a tenant" not in page
    for address in ("/configured-tenants/new", f"/configured-tenants/{CONTOSO}"):
        assert "change them there" in await words_of(admin, address, status=400)
    sent = {"request_id": str(uuid4()), "confirmed": "yes", "name": "x", "credential": "managed_identity"}
    for address in ("/configured-tenants", f"/configured-tenants/{CONTOSO}", f"/configured-tenants/{CONTOSO}/remove"):
        answer = await admin.post(address, data=sent | {"tenant_id": str(uuid4())})
        assert answer.status_code == 400, address
        assert "change them there" in answer.text
