"""One entry of the catalog in full sentences."""

from collections.abc import Iterator

from graph.catalog import Collection, DetailCall, kinds_in


def sentences(entry: Collection) -> Iterator[str]:
    """An entry in sentences, in the order of people's questions."""
    yield f"{entry.title}: type key {entry.type_key}, category {entry.category}."
    yield from _reading(entry)
    yield from _what_is_left_out(entry)
    yield from (_detail(detail) for detail in entry.details)
    yield f"It needs the application permission {entry.permission}."
    for name in sorted(entry.permissions - {entry.permission}):
        of = [detail.property for detail in entry.details if detail.permission == name]
        yield f"It needs {name} too, for {', '.join(filter(None, of))}."
    if entry.delegated_only:
        yield "Microsoft opens it to signed-in people only. Where Graph refuses an app it is skipped; that is no error."
    if entry.licence_hint:
        yield f"A tenant has it with a licence for {entry.licence_hint}."
    yield from _documents(entry)
    if entry.note:
        yield entry.note


def _reading(entry: Collection) -> Iterator[str]:
    what = "is one object" if entry.singleton else "is listed"
    yield f"It {what} at GET /{entry.api_version}{entry.first_url()}, on Graph's budget for {entry.throttle_family}."
    if entry.parent:
        yield f"There is one listing for each item of {entry.parent}, so both are read."
    if entry.throttle_family.interval is not None:
        yield "Graph allows one request a second here, so it is read slowly."
    if not entry.singleton and entry.page_size is None:
        yield "No $top is sent: the service pages by itself."
    if entry.opt_in:
        yield "It is opt-in: --all leaves it out, so name it by --type or --category."


def _what_is_left_out(entry: Collection) -> Iterator[str]:
    if entry.left_out_types:
        names = sorted(name.rpartition(".")[2] for name in entry.left_out_types)
        yield f"Objects of these types are left out, since other collections hold them: {', '.join(names)}."
    for name, value in sorted(entry.left_out_where.items()):
        yield f"Objects with {name} = {str(value).lower()} are left out."


def _detail(detail: DetailCall) -> str:
    what = detail.property or "the rest of the item"
    of = f", for {', '.join(sorted(name.rpartition('.')[2] for name in detail.types))} alone" if detail.types else ""
    if detail.only_where:
        name, _, value = detail.only_where.partition("=")
        of += f", where {name} {f'has {value}' if value else 'is not empty'}"
    sentence = f"For each item, {what} comes by GET {detail.path}{of}"
    if detail.optional:
        sentence += "; an item may have none"
    if detail.licence_hint:
        sentence += f"; a tenant has it with a licence for {detail.licence_hint}"
    if detail.believe_list:
        sentence += f"; {', '.join(sorted(detail.believe_list))} stay as the list shows them"
    for child in detail.children:
        sentence += f"; and for each of its members, {child.property} by GET {child.path}"
    return sentence + "."


def _documents(entry: Collection) -> Iterator[str]:
    if entry.sensitive:
        yield f"Hidden by a keyed hash, so that only a change shows: {', '.join(sorted(entry.sensitive))}."
    if entry.masked:
        yield f"Shown by Graph to nobody, so that only an edit of the item shows: {', '.join(sorted(entry.masked))}."
    if entry.script_bodies:
        yield f"Hidden where the configuration says so: {', '.join(sorted(entry.script_bodies))}."
    if entry.payloads:
        yield f"Stored where the configuration says so: {', '.join(sorted(entry.payloads))}."
    if entry.id_field != "id":
        yield f"Its {entry.id_field} identifies an item."
    if entry.references:
        named = [f"{' or '.join(keys)} ({path})" for path, keys in sorted(entry.references.items())]
        yield f"It names objects of other collections: {', '.join(named)}."
    kinds = kinds_in(entry.type_key)
    if len(kinds) > 1:
        yield f"Kinds: {', '.join(kinds)}."
