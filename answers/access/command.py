"""`access`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, TypeVar
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from answers.access import answer
from answers.access.answer import AccessRequest, Subject
from cli import output
from cli.errors import UsageError
from cli.options import TenantNames, complete_tenant_name, configured_tenant, tenant_id_of
from cli.output_options import output_options, prints_json, prints_tables
from cli.person import local_person
from cli.sessions import opened_database
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings
from inventory.access_rules import AccessRule
from inventory.people import KnownPerson, Role
from inventory.plurals import counted
from tenants_source import configured_tenants_of

access = typer.Typer(no_args_is_help=True, help="Access: which tenants people see on the web page.")

ResultT = TypeVar("ResultT")

Change = Callable[[AsyncSession, Subject, AccessRequest], Awaitable[AccessRule | None]]


@access.command("list")
@prints_tables
def list_rules() -> None:
    """The rules about which tenants people see. An exclusion wins; without a rule an admin sees all, others none.

    Example: python starter.py access list
    """
    settings = load_settings()
    access_answer = _run(settings, answer.access)
    if output_options().as_json:
        output.print_json(*access_answer.rules)
        return
    names = {person.person_id: person.name for person in access_answer.people}
    tenants = configured_tenants_of(settings).names()
    columns = (
        Column("who", "role", lambda rule: _who(rule, names), is_kept=True),
        Column("sees", "is_excluded", lambda rule: "not" if rule.is_excluded else "yes", is_kept=True),
        Column("tenants", "tenant_id", lambda rule: _tenants(rule, tenants), is_kept=True),
        Column("set by", "set_by"),
        Column("set", "set_at", lambda rule: output.ago(rule.set_at)),
        Column("why", "reason", shape=Shape.BELOW),
    )
    print_table(
        columns,
        access_answer.rules,
        record=AccessRule,
        title=counted(len(access_answer.rules), "rule"),
        is_ordered=True,
    )


def _who(rule: AccessRule, names: Mapping[str, str]) -> str:
    return f"every {rule.role}" if rule.person_id is None else names.get(rule.person_id, rule.person_id)


def _tenants(rule: AccessRule, names: Mapping[UUID, str]) -> str:
    if rule.tenant_id is not None:
        return names.get(rule.tenant_id, str(rule.tenant_id))
    return "all" if rule.tag is None else f"tag {rule.tag}"


@access.command("people")
@prints_tables
def list_people() -> None:
    """Everybody who has signed in, with the role of the last time.

    Example: python starter.py access people
    """
    people = _run(load_settings(), answer.access).people
    columns = (
        Column("name", "name", is_kept=True),
        Column("role", "role", is_kept=True),
        Column("signed in", "signed_in_at", lambda person: output.ago(person.signed_in_at), is_kept=True),
        Column("id", "person_id", shape=Shape.BELOW),
    )
    print_table(columns, people, record=KnownPerson, title=counted(len(people), "person", "people"), is_ordered=True)


def _changes_rule(
    change: Change, done: str, *, of_any_tenant: bool = False
) -> Callable[[Callable[[], None]], Callable[..., None]]:
    @prints_json
    def command(
        role: Annotated[Role | None, typer.Option("--role", help="Everybody of this role.")] = None,
        person: Annotated[
            str | None, typer.Option("--person", metavar="NAME", help="A person's name, or id: TENANT-ID/OBJECT-ID.")
        ] = None,
        tenant: Annotated[
            str | None,
            typer.Option(
                "--tenant", metavar="NAME", help="A tenant's id or name.", autocompletion=complete_tenant_name
            ),
        ] = None,
        tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="The tenants with this tag.")] = None,
        all_tenants: Annotated[bool, typer.Option("--all-tenants", help="All tenants.")] = False,
        reason: Annotated[str | None, typer.Option("--reason", help="Kept with the rule and the audit record.")] = None,
    ) -> None:
        settings = load_settings()
        if (role is None) == (person is None):
            raise UsageError("say who, in one way: --role ROLE or --person NAME")
        if sum([tenant is not None, tag is not None, all_tenants]) != 1:
            raise UsageError("say which tenants, in one way: --tenant NAME, --tag TAG or --all-tenants")
        tenant_id = None
        if tenant is not None:
            tenant_id = tenant_id_of(settings, tenant) if of_any_tenant else configured_tenant(settings, tenant).id
        tenant_name = None if tenant_id is None else TenantNames.load(settings).of(tenant_id)
        is_given = tag is not None and not of_any_tenant
        if is_given and not any(tag in known.tags for known in configured_tenants_of(settings)):
            output.stderr.print(f"no tenant of the tenants file has the tag {tag!r} yet", style="yellow")

        async def ask(session: AsyncSession) -> tuple[Subject, AccessRule | None]:
            person_id = None
            if person is not None:
                person_id = answer.find_person((await answer.access(session)).people, person)
            subject = Subject(person_id, role, tenant_id, tag)
            request = AccessRequest(local_person(), reason, tenant_name=tenant_name)
            return subject, await change(session, subject, request)

        subject, rule = _run(settings, ask)
        if output_options().as_json and rule is not None:
            output.print_json(rule)
        else:
            output.stdout.print(f"{done}: {answer.in_words(subject, tenant_name)}")

    def named(described: Callable[[], None]) -> Callable[..., None]:
        command.__name__, command.__doc__ = described.__name__, described.__doc__
        return command

    return named


@access.command()
@_changes_rule(answer.set_rule, "set")
def grant() -> None:
    """Let a person or a role see a tenant, the tenants of a tag, or all.

    Example: python starter.py access grant --role reader --tag emea
    """


@access.command()
@_changes_rule(partial(answer.set_rule, is_excluded=True), "set")
def exclude() -> None:
    """Keep a tenant, the tenants of a tag, or all from a person or a role, whatever other rules say.

    Example: python starter.py access exclude --role operator --tenant contoso --reason "their own team"
    """


@access.command()
@_changes_rule(answer.revoke, "revoked", of_any_tenant=True)
def revoke() -> None:
    """Take the rule about these people and tenants away, whether it includes or excludes.

    Example: python starter.py access revoke --role reader --tag emea
    """


@access.command("end-sessions")
@prints_json
def end_sessions(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A person's name or id.", show_default=False)],
) -> None:
    """Sign a person out everywhere, so that a role that was taken away in Entra ID ends at once.

    Example: python starter.py access end-sessions ada@msp.example
    """

    async def ask(session: AsyncSession) -> tuple[str, int]:
        person_id = answer.find_person((await answer.access(session)).people, person)
        return person_id, await answer.end_sessions(session, person_id, AccessRequest(local_person())) or 0

    person_id, ended = _run(load_settings(), ask)
    words = f"{counted(ended, 'session')} of {person} ended"
    output.print_result({"person_id": person_id, "ended_sessions": ended}, words)


def _run(settings: Settings, ask: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
    async def run() -> ResultT:
        async with opened_database(settings) as database, database.no_tenant() as session:
            return await ask(session)

    return asyncio.run(run())
