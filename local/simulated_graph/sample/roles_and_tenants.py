"""Role systems beside the directory's, and relationships with other tenants."""

from collections.abc import Callable

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, single
from local.simulated_graph.sample.identity import ROLE_ASSIGNABLE_GROUP

_DIRECTORY_ROLES = "roleManagement/directory/roleDefinitions"
_ROLES = "roleManagement"


def _role(subject: str) -> Callable[[Draw], Document]:
    return lambda draw: {
        "displayName": draw.name(subject),
        "description": "",
        "isBuiltIn": draw.index % 2 == 0,
        "isEnabled": True,
        "version": "1",
        "rolePermissions": [{"allowedResourceActions": ["sample/read"], "condition": None}],
    }


def _assignment(area: str) -> Callable[[Draw], Document]:
    return lambda draw: {
        "principalId": f"/RoleGroups/{draw.index}" if area == "exchange" else draw.id_of("groups", draw.index),
        "roleDefinitionId": draw.id_of(f"{_ROLES}/{area}/roleDefinitions", draw.index),
        "directoryScopeId": "/",
        "appScopeId": None,
    }


def _assignment_of_several(area: str) -> Callable[[Draw], Document]:
    return lambda draw: {
        "displayName": draw.name("Role assignment"),
        "description": "",
        "principalIds": [draw.id_of("groups", draw.index)],
        "roleDefinitionId": draw.id_of(f"{_ROLES}/{area}/roleDefinitions", draw.index),
        "directoryScopeIds": ["/"],
        "appScopeIds": [],
    }


def _schedule(draw: Draw) -> Document:
    return {
        "principalId": draw.id_of("groups", draw.index),
        "roleDefinitionId": draw.id_of(_DIRECTORY_ROLES, draw.index % 3),
        "directoryScopeId": "/",
        "appScopeId": None,
        "assignmentType": "Assigned",
        "memberType": "Direct",
        "createdUsing": draw.id("request"),
        "status": "Provisioned",
        "scheduleInfo": {"startDateTime": draw.moment(), "recurrence": None, "expiration": {"type": "noExpiration"}},
    }


def _group_schedule(draw: Draw) -> Document:
    return {
        "groupId": draw.id_of("groups", ROLE_ASSIGNABLE_GROUP),
        "principalId": draw.id_of("users", draw.index),
        "accessId": draw.cycle(("member", "owner")),
        "memberType": "direct",
        "assignmentType": "assigned",
        "createdUsing": draw.id("request"),
        "status": "Provisioned",
        "scheduleInfo": {"startDateTime": draw.moment(), "recurrence": None, "expiration": {"type": "noExpiration"}},
    }


def _alert(draw: Draw) -> Document:
    kinds: list[tuple[str, Document]] = [
        ("tooManyGlobalAdminsAssignedToTenantAlertConfiguration", {"globalAdminCountThreshold": 3}),
        ("staleSignInAlertConfiguration", {"duration": "P30D"}),
        ("noMfaOnRoleActivationAlertConfiguration", {}),
    ]
    kind, properties = draw.cycle(kinds)
    definition = f"DirectoryRole_{draw.tenant_id}_{kind.removesuffix('Configuration')}"
    return {
        "@odata.type": f"#microsoft.graph.{kind}",
        "id": definition,
        "alertDefinitionId": definition,
        "scopeId": "/",
        "scopeType": "DirectoryRole",
        "isEnabled": True,
        **properties,
    }


def _relationship(draw: Draw) -> Document:
    role = {"roleDefinitionId": draw.id_of(_DIRECTORY_ROLES, 0)}
    assignment = {
        "id": draw.id("assignment"),
        "status": "active",
        "accessContainer": {"accessContainerId": draw.id_of("groups", 2), "accessContainerType": "securityGroup"},
        "accessDetails": {"unifiedRoles": [role]},
    }
    return {
        "displayName": draw.name("Relationship"),
        "customer": {"tenantId": draw.id("customer"), "displayName": "Customer"},
        "accessDetails": {"unifiedRoles": [role]},
        "duration": "P730D",
        "autoExtendDuration": "P180D",
        "endDateTime": "2027-06-01T00:00:00Z",
        "status": "active",
        "accessAssignments": [assignment],
        "operations": [],
        "requests": [],
    }


def _governance(draw: Draw) -> Document:
    return {
        "governingTenantId": draw.tenant_id,
        "governingTenantName": "Sample",
        "governedTenantId": draw.id("governed"),
        "governedTenantName": draw.name("Governed tenant"),
        "createdType": "invitation",
        "status": "active",
        "policySnapshot": None,
    }


def _governance_template(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Governance template"),
        "description": "",
        "governedTenantCanTerminate": True,
        "delegatedAdministrationRoleAssignments": [],
        "multiTenantApplicationsToProvision": [],
        "version": "1",
    }


def _multitenant(draw: Draw) -> Document:
    return {
        "id": draw.tenant_id,
        "displayName": "Sample group of companies",
        "description": "",
        "state": "active",
        "createdDateTime": "2025-02-01T00:00:00Z",
    }


def _member(draw: Draw) -> Document:
    return {
        "tenantId": draw.tenant_id if draw.index == 0 else draw.id("member"),
        "displayName": draw.name("Member tenant"),
        "role": "owner" if draw.index == 0 else "member",
        "state": "active",
        "transitionDetails": None,
    }


def _capability(draw: Draw) -> Document:
    kind = draw.cycle(("crossTenantCalendarSharingFreeBusySimple", "crossTenantMailTipsAll"))
    return {
        "@odata.type": f"#microsoft.graph.{kind}",
        "name": kind,
        "inboundAccess": {"isAllowed": draw.flag()},
    }


SAMPLES = {
    f"{_ROLES}/exchange/roleDefinitions": Sample(2, _role("Exchange role")),
    f"{_ROLES}/exchange/roleAssignments": Sample(2, _assignment("exchange")),
    f"{_ROLES}/defender/roleDefinitions": Sample(2, _role("Defender role")),
    f"{_ROLES}/defender/roleAssignments": Sample(2, _assignment_of_several("defender")),
    f"{_ROLES}/cloudPC/roleDefinitions": Sample(2, _role("Windows 365 role")),
    f"{_ROLES}/cloudPC/roleAssignments": Sample(2, _assignment_of_several("cloudPC")),
    f"{_ROLES}/entitlementManagement/roleDefinitions": Sample(2, _role("Entitlement management role")),
    f"{_ROLES}/entitlementManagement/roleAssignments": Sample(2, _assignment("entitlementManagement")),
    f"{_ROLES}/directory/roleAssignmentSchedules": Sample(3, _schedule),
    "identityGovernance/privilegedAccess/group/eligibilitySchedules": Sample(2, _group_schedule),
    "identityGovernance/privilegedAccess/group/assignmentSchedules": Sample(1, _group_schedule),
    "identityGovernance/roleManagementAlerts/alertConfigurations": Sample(3, _alert, fixed=True),
    "tenantRelationships/delegatedAdminRelationships": Sample(2, _relationship),
    "directory/tenantGovernance/governanceRelationships": Sample(1, _governance),
    "directory/tenantGovernance/governancePolicyTemplates": Sample(1, _governance_template),
    "tenantRelationships/multiTenantOrganization": single(_multitenant),
    "tenantRelationships/multiTenantOrganization/tenants": Sample(2, _member),
    "policies/crossTenantAccessPolicy/default/m365Capabilities": Sample(2, _capability, fixed=True),
}
