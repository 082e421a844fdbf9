"""Wrong values are described in words of this project, for every key that people write."""

import pytest
from pydantic import BaseModel, ValidationError

import configuration
import delivery.targets
from configuration import Settings
from delivery.targets import AppriseTarget, EmailTarget, TeamsTarget, WebhookTarget
from graph import tenants
from graph.tenants import TenantConfig
from inventory.notifications import NotificationRule
from inventory.validation_problem import first_problem

WRONG_VALUES: tuple[object, ...] = (
    None,
    -1,
    1.5,
    10**30,
    "",
    "hunter2 \x01",
    "x" * 5000,
    [],
    [-1],
    ["hunter2 \x01"],
    {"hunter2": 1},
    "nan",
)

MODELS: dict[type[BaseModel], dict[str, str]] = {
    Settings: configuration.SPELLING,
    TenantConfig: tenants.SPELLING,
    NotificationRule: delivery.targets.SPELLING,
    WebhookTarget: delivery.targets.SPELLING,
    TeamsTarget: delivery.targets.SPELLING,
    EmailTarget: delivery.targets.SPELLING,
    AppriseTarget: delivery.targets.SPELLING,
}


@pytest.mark.parametrize("model", MODELS)
def test_every_wrong_value_is_described_without_pydantics_words(model: type[BaseModel]) -> None:
    described = 0
    for field in model.model_fields:
        for value in WRONG_VALUES:
            if model is Settings and not isinstance(value, str):
                continue  # the environment has texts only
            try:
                model.__pydantic_validator__.validate_assignment(model.model_construct(), field, value)
            except ValidationError as error:
                described += 1
                problem = first_problem(error, model, spelling=MODELS[model])
                assert "should" not in problem.text, (field, value)
                assert "is not valid" not in problem.text, (field, value)
                assert "hunter2" not in str(problem), (field, value)
    assert described > len(model.model_fields)
