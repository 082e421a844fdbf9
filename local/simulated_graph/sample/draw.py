"""Repeatable choices for sample documents."""

import base64
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple, TypeVar

from local.simulated_graph.documents import Document, made_id
from local.simulated_graph.moments import moment

T = TypeVar("T")

_RINGS = ("Pilot", "Early adopters", "Broad", "Executives", "Kiosks", "Shared devices", "Frontline", "Developers")
_PLACES = ("Berlin", "Leeds", "Oslo", "Turin", "Austin", "Osaka", "Lyon", "Perth")


class Draw:
    """Choices for document `index` at `path`; tenants of one `model` choose alike."""

    def __init__(self, tenant_id: str, path: str, index: int, model: str | None = None) -> None:
        self.tenant_id = tenant_id
        self.index = index
        self._seed = f"{tenant_id}/{path}/{index}"
        self._choices = f"{model or tenant_id}/{path}/{index}"
        self._random = Random(self._choices)  # noqa: S311 (repeatable, not secret)

    def id(self, name: str = "") -> str:
        return made_id(f"{self._choices}/{name}" if name else self._seed)

    def id_of(self, path: str, index: int) -> str:
        return made_id(f"{self.tenant_id}/{path}/{index}")

    def app_id(self, index: int) -> str:
        """The app registration's, shared with its service principal."""
        return made_id(f"{self.tenant_id}/applications/{index}/app")

    def pick(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)

    def cycle(self, choices: Sequence[T]) -> T:
        """Takes turns, so that a sample has every kind."""
        return choices[self.index % len(choices)]

    def number(self, low: int, high: int) -> int:
        """Both inclusive."""
        return self._random.randint(low, high)

    def secret(self, name: str) -> str:
        """Easy to find where no secret may be."""
        return f"sample-secret-{self.id(name)}"

    def flag(self) -> bool:
        return self._random.random() < 0.5

    def moment(self) -> str:
        return moment(self._random)

    def name(self, subject: str) -> str:
        """Unique by its number."""
        return f"{subject} - {self.pick(_RINGS)} {self.pick(_PLACES)} {self.index + 1:03d}"

    def scope_tags(self) -> list[str]:
        """Nearly always the default."""
        return self.pick((["0"], ["0"], ["0"], ["0", "1"]))


class Sample(NamedTuple):
    """A collection's `size` documents. `fixed` ones are not scaled: a large tenant, too, has one organization."""

    size: int
    make: Callable[[Draw], Document]
    fixed: bool = False


def single(make: Callable[[Draw], Document]) -> Sample:
    """The only document of any tenant."""
    return Sample(1, make, fixed=True)


def constant(**properties: Any) -> Sample:
    """One document, the same in all tenants."""
    return single(lambda _: dict(properties))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def choice_setting(number: int, definition: str, value: str) -> Document:
    return {
        "id": str(number),
        "settingInstance": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
            "settingDefinitionId": definition,
            "settingInstanceTemplateReference": None,
            "choiceSettingValue": {"settingValueTemplateReference": None, "value": value, "children": []},
        },
    }


def titled(draw: Draw, subject: str, *, kind: str | None = None, **properties: Any) -> Document:
    return {
        **({"@odata.type": f"#microsoft.graph.{kind}"} if kind else {}),
        "displayName": draw.name(subject),
        "description": draw.pick(("", f"Managed by the endpoint team. {subject}.", "Reviewed every quarter.")),
        "roleScopeTagIds": draw.scope_tags(),
        **properties,
    }
