"""A simulated Microsoft Graph: a real HTTPS server with its own token endpoint, tenants and documents.

An independent witness, it imports nothing of the product but Microsoft's published facts, and has its own `endpoints`.
A request goes through `application`, `service`, `batch` and `get_answers` to `content`. Obstacles are `budgets` and
`waits` (429), and `faults` with `fault_answers`, `fault_changes` and `delivery`.
"""

from local.simulated_graph.audit import ENTRA_LOG, INTUNE_LOG, audit_delay
from local.simulated_graph.budgets import REAL_BUDGETS, Budget, Budgets
from local.simulated_graph.faults import ActiveFault, Fault, FaultKind, Faults
from local.simulated_graph.messages import Answer, BeforeAnswer, GraphRequest, Kind
from local.simulated_graph.request_log import RecordedRequest
from local.simulated_graph.server import SimulatedGraph
from local.simulated_graph.sign_ins import SignInFault, SimulatedPerson
from local.simulated_graph.tenant import SimulatedTenant
from local.simulated_graph.waits import Violation

__all__ = [
    "ENTRA_LOG",
    "INTUNE_LOG",
    "REAL_BUDGETS",
    "ActiveFault",
    "Answer",
    "BeforeAnswer",
    "Budget",
    "Budgets",
    "Fault",
    "FaultKind",
    "Faults",
    "GraphRequest",
    "Kind",
    "RecordedRequest",
    "SignInFault",
    "SimulatedGraph",
    "SimulatedPerson",
    "SimulatedTenant",
    "Violation",
    "audit_delay",
]
