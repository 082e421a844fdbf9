"""Forms that act: one that is sent twice does its act once.

A form has the field of the macro `parts.once()`; its route takes `Once` and hands it to `storage.audit.record`.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Form

REQUEST_ID = "request_id"

Once = Annotated[UUID, Form(alias=REQUEST_ID, description="Made for each form; sent again, it does nothing.")]
