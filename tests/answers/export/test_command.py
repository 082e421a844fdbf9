"""`export` writes only changed files, and touches no other files in its folder."""

import errno
import os
import unicodedata
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest

from answers.export import folder as export_folder
from answers.export.folder import ExportFolder
from answers.export.rules import MANIFEST, file_path
from cli.errors import UsageError
from inventory.outcomes import RunStatus
from inventory.user_errors import UnavailableError
from storage import versions
from storage.database import Database
from tests.cli.command_line import CommandLine
from tests.forks import Fork
from tests.full_disk import no_room
from tests.storage.support import begin, end, land, list_document, observation, sync

EXPORT_FIELDS = [
    "tenant_id",
    "folder",
    "at",
    "written",
    "unchanged",
    "removed",
    "incomplete",
    "presumed",
    "unread",
    "forgotten",
    "types_not_read",
    "damaged",
    "stale",
]

HOSTILE = ["../../x", "CON", "a/b", "a\\b", "dots...", "🚀", "x" * 300, "Case", "case", "Case", ".git", "", "C:\\x\x07"]

TENANT = uuid4()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def _files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Content, modification time and inode of all files except the manifest."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def _counts(summary: dict[str, object]) -> tuple[object, ...]:
    return summary["written"], summary["unchanged"], summary["removed"]


async def test_repeated_export_writes_only_changed_files(
    database: Database, starter: CommandLine, folder: Path
) -> None:
    wave = [observation("groups", str(number), displayName="Staff", value=number) for number in range(3)]
    await sync(
        database, TENANT, [*wave, observation("namedLocations", "9", displayName="HQ")], "groups", "namedLocations"
    )
    (first,) = (await starter("export", str(folder), "--json")).objects()
    assert list(first) == EXPORT_FIELDS
    assert _counts(first) == (4, 0, 0)
    before, manifest = _files(folder), (folder / MANIFEST).stat().st_mtime_ns
    assert sorted(before) == sorted(
        [
            *(file_path("directory", "groups", "Staff", str(number)) for number in range(3)),
            file_path("conditional-access", "namedLocations", "HQ", "9"),
        ]
    )
    path = file_path("directory", "groups", "Staff", "0")
    assert before[path][0] == b'{\n  "displayName": "Staff",\n  "id": "0",\n  "value": 0\n}\n'

    await sync(database, TENANT, wave, "groups")
    (second,) = (await starter("export", str(folder), "--json")).objects()
    assert _counts(second) == (0, 4, 0)
    assert _files(folder) == before
    assert (folder / MANIFEST).stat().st_mtime_ns == manifest

    await sync(database, TENANT, [observation("groups", "0", displayName="Staff", value="new"), *wave[1:]], "groups")
    (third,) = (await starter("export", str(folder), "--json")).objects()
    assert _counts(third) == (1, 3, 0)
    after = _files(folder)
    assert [name for name in after if after[name] != before[name]] == [path]

    await sync(database, TENANT, [observation("groups", "0", displayName="Crew"), *wave[2:]], "groups")
    result = await starter("export", str(folder))
    assert result.stdout == f"1 written, 2 unchanged, 2 removed in {folder}\n"
    moved = file_path("directory", "groups", "Crew", "0")
    assert _files(folder).keys() == before.keys() - {path, file_path("directory", "groups", "Staff", "1")} | {moved}


async def test_hostile_names_get_distinct_files_in_the_folder(
    database: Database, starter: CommandLine, folder: Path
) -> None:
    wave = [observation("groups", str(number), displayName=name) for number, name in enumerate(HOSTILE)]
    await sync(database, TENANT, wave, "groups")
    (summary,) = (await starter("export", str(folder), "--json")).objects()
    assert _counts(summary) == (len(HOSTILE), 0, 0)
    names = [path.name for path in (folder / "directory" / "groups").iterdir()]
    assert len({name.casefold() for name in names}) == len(HOSTILE)
    assert all(len(name.encode()) < 150 and unicodedata.is_normalized("NFC", name) for name in names)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["out"]
    documents = [orjson.loads(path.read_bytes()) for path in (folder / "directory" / "groups").iterdir()]
    assert sorted(document["displayName"] for document in documents) == sorted(HOSTILE)


async def test_export_of_some_collections_keeps_other_files(
    database: Database, starter: CommandLine, folder: Path
) -> None:
    both = [observation("groups", "1", displayName="Staff"), observation("namedLocations", "9", displayName="HQ")]
    await sync(database, TENANT, both, "groups", "namedLocations")
    assert (await starter("export", str(folder))).code == 0
    await sync(database, TENANT, [], "groups", "namedLocations")
    (summary,) = (await starter("export", str(folder), "--type", "groups", "--json")).objects()
    assert _counts(summary) == (0, 0, 1)
    assert list(_files(folder)) == [file_path("conditional-access", "namedLocations", "HQ", "9")]
    assert not (folder / "directory").exists()
    (summary,) = (await starter("export", str(folder), "--category", "conditional-access", "--json")).objects()
    assert _counts(summary) == (0, 0, 1)


async def test_export_of_the_inventory_at_a_run_or_a_time(
    database: Database, starter: CommandLine, folder: Path
) -> None:
    runs: list[UUID] = []
    for value in ("A", "B"):
        run = await begin(database, TENANT, "groups")
        if value == "B":
            await land(database, TENANT, run, [observation("groups", "2", displayName="Guests")])
        await land(database, TENANT, run, [observation("groups", "1", displayName="Staff", value=value)])
        still_open = await starter("export", str(folder), "--at", str(run.run_id))
        assert (still_open.code, still_open.stdout) == (2, "")
        await end(database, TENANT, run)
        await starter("export", str(folder))
        runs.append(run.run_id)
    recorded = (await starter("runs", "--json")).objects()
    (finished,) = [record["finished_at"] for record in recorded if record["run_id"] == str(runs[0])]

    for moment in (str(runs[0]), finished, finished.replace("Z", "+00:00")):
        then = folder.parent / f"then-{moment}"
        (summary,) = (await starter("export", str(then), "--at", moment, "--json")).objects()
        assert _counts(summary) == (1, 0, 0)
        assert summary["at"] == finished
        ((content, *_),) = _files(then).values()
        assert orjson.loads(content)["value"] == "A"
    (now,) = (await starter("export", str(folder), "--json")).objects()
    assert (_counts(now), now["at"]) == ((0, 2, 0), None)
    assert (await starter("export", str(folder), "--at", str(uuid4()))).code == 2
    assert "neither a run id nor a time" in (await starter("export", str(folder), "--at", "someday")).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at", "2001-01-01"], "no run had read this tenant by 2001-01-01"),
        (["--at", "yesterday"], "no run had read this tenant by"),
        (["--at", "tomorrow"], "tomorrow is in the future"),
        (["--at", "2999-01-01"], "2999-01-01 is in the future"),
        (["--type", "namedLocations"], "no run had read these collections yet"),
        (["--type", "namedLocations", "--at", "2001-01-01"], "no run had read these collections by"),
    ],
)
async def test_export_of_unread_data_is_refused_and_removes_nothing(
    database: Database, starter: CommandLine, folder: Path, arguments: list[str], message: str
) -> None:
    await sync(database, TENANT, [observation("groups", "1", displayName="Staff")], "groups")
    await starter("export", str(folder))
    before = _files(folder)
    result = await starter("export", str(folder), *arguments)
    assert (result.code, result.stdout) == (3 if message.endswith("yet") else 2, "")
    assert message in result.stderr
    assert _files(folder) == before != {}


async def test_export_names_versions_deleted_by_retention_and_exits_with_3(
    database: Database, starter: CommandLine, folder: Path
) -> None:
    for value in ("A", "B"):
        await sync(database, TENANT, [observation("groups", "1", displayName="Staff", value=value)], "groups")
    first = min(record["finished_at"] for record in (await starter("runs", "--json")).objects())
    async with database.tenant(TENANT) as session:
        await versions.forget(session, older_than=None, kept=1, most=10)
    result = await starter("export", str(folder), "--at", first, "--json")
    (summary,) = result.objects()
    assert (result.code, _counts(summary)) == (3, (0, 0, 0))
    (forgotten,) = summary["forgotten"]
    item = {"type_key": "groups", "external_id": "1", "display_name": "Staff", "kind": "Groups"}
    assert forgotten == {**item, "title": "Staff"}
    people = await starter("export", str(folder), "--at", first)
    assert "no file, because retention has deleted the version of that time: groups 1 (Staff)" in " ".join(
        people.stderr.split()
    )


async def test_summary_counts_incomplete_and_unread_items(
    database: Database, starter: CommandLine, folder: Path
) -> None:
    run = await begin(database, TENANT, "groups", "namedLocations")
    await land(database, TENANT, run, [list_document("groups", "1", displayName="Staff")])
    await end(database, TENANT, run)
    run = await begin(database, TENANT, "namedLocations")
    await land(database, TENANT, run, [list_document("namedLocations", "2", displayName="HQ")])
    await end(database, TENANT, run, RunStatus.CANCELLED)
    run = await begin(database, TENANT, "mobileApps")
    await land(database, TENANT, run, [list_document("mobileApps", "3", displayName="App")])
    result = await starter("export", str(folder), "--json")
    (summary,) = result.objects()
    assert (result.code, _counts(summary)) == (0, (2, 0, 0))
    assert (summary["incomplete"], summary["unread"], summary["types_not_read"]) == (2, 1, ["mobileApps"])
    assert "not read to the end, so their files stay: mobileApps" in (await starter("export", str(folder))).stderr
    options = ("--type", "groups", "--type", "roleDefinitions", "--json")
    (summary,) = (await starter("export", str(folder), *options)).objects()
    assert summary["types_not_read"] == ["roleDefinitions"], "no run has selected it"


def test_folder_with_foreign_files_is_refused_unless_forced(folder: Path) -> None:
    folder.mkdir()
    (folder / ".git").mkdir()
    ExportFolder(folder, TENANT, force=False)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"not empty .*notes\.txt"):
        ExportFolder(folder, TENANT, force=False)
    files = ExportFolder(folder, TENANT, force=True)
    files.remove_others(None)
    files.close()
    assert (folder / "notes.txt").read_text() == "mine"
    ExportFolder(folder, TENANT, force=False)
    with pytest.raises(UsageError, match=r"another tenant.*; name another folder$"):
        ExportFolder(folder, UUID(int=1), force=True)


PATH = file_path("apps", "mobileApps", "App", "1")


def test_foreign_file_is_overwritten_only_if_forced(folder: Path) -> None:
    _exported(folder, {})
    (folder / PATH).parent.mkdir(parents=True)
    (folder / PATH).write_bytes(b"mine")
    with pytest.raises(UsageError, match="was not written by an export"):
        ExportFolder(folder, TENANT, force=False).put(PATH, b"new")
    assert (folder / PATH).read_bytes() == b"mine"
    ExportFolder(folder, TENANT, force=True).put(PATH, b"new")
    assert (folder / PATH).read_bytes() == b"new"


def test_export_removes_files_of_an_interrupted_export(folder: Path) -> None:
    _exported(folder, {})
    ExportFolder(folder, TENANT, force=False).put(PATH, b"made, and then the power went")
    files = _exported(folder, {})
    assert (files.removed, _files(folder)) == (1, {})


def test_case_only_rename_leaves_a_single_file(folder: Path) -> None:
    upper, lower = (file_path("apps", "mobileApps", name, "1") for name in ("App", "app"))
    _exported(folder, {upper: b"1"})
    files = _exported(folder, {lower: b"1"})
    assert list(_files(folder)) == [lower]
    assert (files.written, files.removed) == (1, 0)


def test_symbolic_links_are_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "mobileApps").mkdir(parents=True)
    (outside / Path(PATH).relative_to("apps")).write_bytes(b"theirs")
    _exported(folder, {PATH: b"1"})
    for link, target in (
        (folder / "apps", outside),
        (folder / "apps" / "mobileApps", outside / "mobileApps"),
        (folder / PATH, outside / Path(PATH).relative_to("apps")),
    ):
        kept = link.rename(tmp_path / "kept")
        link.symlink_to(target)
        with pytest.raises(UsageError, match="is a link"):
            _exported(folder, {PATH: b"2"})
        if link != folder / PATH:
            with pytest.raises(UsageError, match="is a link"):
                _exported(folder, {})
        link.unlink()
        kept.rename(link)
    for name in (MANIFEST, export_folder.JOURNAL):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside / "elsewhere")
        with pytest.raises(UsageError, match="is a link"):
            ExportFolder(folder, TENANT, force=True)
        (folder / name).unlink()
    assert (outside / Path(PATH).relative_to("apps")).read_bytes() == b"theirs"


def test_manifest_with_an_outside_path_removes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.json").write_text("{}")
    _exported(folder, {PATH: b"1"})
    manifest = orjson.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_bytes(orjson.dumps({**manifest, "files": ["../precious.json"]}))
    with pytest.raises(UsageError, match="no export has written"):
        ExportFolder(folder, TENANT, force=True)
    assert (tmp_path / "precious.json").exists()


def test_file_system_error_is_reported(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        ExportFolder(folder, TENANT, force=False)
    with pytest.raises(UsageError, match=os.strerror(errno.ENOTDIR)):
        ExportFolder(folder / "below", TENANT, force=False)


def test_an_export_onto_a_full_disk_says_so_and_the_next_one_continues(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(Path, "replace", no_room)
        with pytest.raises(UnavailableError) as raised:
            _exported(folder, {PATH: b"1"})
    assert str(raised.value) == f"{folder}: {os.strerror(errno.ENOSPC)}; make room and run again"
    assert _exported(folder, {PATH: b"1"}).written == 1
    assert {path.name for path in folder.iterdir()} == {MANIFEST, "apps"}


def _exported(folder: Path, files: dict[str, bytes]) -> ExportFolder:
    export = ExportFolder(folder, TENANT, force=False)
    for path, content in files.items():
        export.put(path, content)
    export.remove_others(None)
    export.close()
    return export


async def test_only_the_owner_may_read_written_files(database: Database, database_url: str, tmp_path: Path) -> None:
    await sync(database, TENANT, [observation("groups", "1", displayName="Staff")], "groups")
    outputs = tmp_path / "stdout"
    folder, graph = tmp_path / "export", tmp_path / "references.dot"
    drawn = ("dependencies", str(TENANT), "--all", "--format", "dot", "--output", str(graph))
    for arguments in (("export", str(TENANT), str(folder)), drawn):
        fork = Fork(
            "starter.py",
            arguments,
            environment={"DATABASE_URL": database_url, "TENANTS_FILE": str(tmp_path / "none")},
            folder=tmp_path,
            stdout=outputs,
            stderr=outputs,
        )
        assert fork.wait() == 0, outputs.read_text()
    written = [graph, folder, *folder.rglob("*")]
    assert len(written) > 3
    assert [path for path in written if path.stat().st_mode & 0o077] == []
