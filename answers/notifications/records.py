"""What `notify` prints, as JSON. Fixed contracts; field names never change."""

from pydantic import BaseModel, ConfigDict


class NotifyTestRecord(BaseModel):
    """A test message to one target: whether the target took it, what came back, and the beginning of what it wrote."""

    model_config = ConfigDict(frozen=True)

    target: str
    kind: str
    delivered: bool
    answer: str
    body: str
