"""Schedules that name a tenant, in a real Temporal."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client, ScheduleIntervalSpec, ScheduleSpec, ScheduleUpdate, ScheduleUpdateInput
from temporalio.contrib.pydantic import pydantic_data_converter

from control.errors import RequestError
from control.schedules import Schedules
from control.tenant_histories import leave_out_of_schedules
from control.watch import WatchSchedule
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from tests.deadlines import until_async
from workflows.messages import PortfolioInput

CONTOSO, FABRIKAM = UUID(int=1), UUID(int=2)
DAY = timedelta(days=1)


def long_catch_up(there: ScheduleUpdateInput) -> ScheduleUpdate:
    """Somebody changes the schedule by other means, to a value that this product does not take."""
    there.description.schedule.policy.catchup_window = timedelta(days=400)
    return ScheduleUpdate(there.description.schedule)


async def test_a_schedule_that_cannot_be_changed_keeps_no_other(temporal: EmbeddedTemporal) -> None:
    client, queue = await Client.connect(temporal.address, data_converter=pydantic_data_converter), str(uuid4())
    schedules, watch = Schedules(client, queue), WatchSchedule(client, queue)
    both = TenantChoice(tenant_ids=(CONTOSO, FABRIKAM))
    daily = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=DAY)])
    for name in ("a", "b"):
        portfolio_input = PortfolioInput(selection=Selection(type_keys=("groups",)), chosen=both, schedule=name)
        await schedules.keep(name, portfolio_input, daily, DAY, None)
    await watch.keep(both, timedelta(hours=1))
    await client.get_schedule_handle(f"tenant-inventory-portfolio/{queue}/a").update(long_catch_up)

    async def are_listed() -> bool:
        return [stored.record.name for stored in (await schedules.all())[0]] == ["a", "b"]

    await until_async(are_listed)
    with pytest.raises(RequestError, match=f"still in schedule a: catch-up: 400d .* tenant remove {CONTOSO} --purge"):
        await leave_out_of_schedules(client, queue, CONTOSO, str)
    rest = TenantChoice(tenant_ids=(FABRIKAM,))
    assert (await schedules.stored("a")).input.chosen == both
    assert (await schedules.stored("b")).input.chosen == rest
    stored = await watch.stored()
    assert stored is not None
    assert stored.chosen == rest
    for name in ("a", "b"):
        await schedules.delete(name)
    await watch.delete()
