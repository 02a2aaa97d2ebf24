"""A Headwater that is lost, and comes back from its backup: same rows, same bytes, and it plays. On live servers."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from accounts.store import create_key, find_key
from catalog import inventory, scrub, store
from catalog.asset import NewAsset
from kit import db, dump, job_store
from kit.archive import Folder, open_archive
from kit.clock import SystemClock
from kit.errors import BadRequest, Conflict, HeadwaterError
from kit.jobs import NewJob
from kit.process import SubprocessRunner
from kit.settings import Settings
from kit.storage.s3 import S3Storage, open_storage
from kit.world import World
from media import keys
from stack import migrate
from stack.backup import INVENTORY, MANIFEST, backup, items, manifest_bytes, manifest_of
from stack.restore import examine, restore
from tests.clips import Clips
from tests.live import LiveServers
from tests.presented import present, read_back, texts_of
from tests.published import published


@contextmanager
def system(servers: LiveServers, folder: Path) -> Iterator[World]:
    """A Headwater with a bucket and a database of its own, and nothing in them: not even tables."""
    with servers.database(empty=True) as address:
        settings = Settings(
            database_url=address, broker_url=servers.broker_url, **asdict(servers.s3), s3_bucket=f"backup-{secrets.token_hex(4)}",
            secret_key="a secret of thirty-two characters, or more", scratch_dir=folder,
        )  # fmt: skip
        storage, engine = open_storage(settings), db.connect(address)
        storage.ensure_bucket()
        try:
            yield World(settings, SystemClock(), engine, storage, SubprocessRunner())
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def old(servers: LiveServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One with two titles that need no encoder."""
    with system(servers, tmp_path_factory.mktemp("old")) as made:
        migrate.upgrade(made.settings.database_url)
        published(made, seed=1)
        published(made, seed=2)
        yield made


@pytest.fixture(scope="module")
def whole(old: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its backup, with objects. Not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    assert backup(old, Folder(folder), with_objects=True).lost == ()
    return folder


@pytest.fixture
def spoiled(whole: Path, tmp_path: Path) -> Path:
    """A copy that may be."""
    return Path(shutil.copytree(whole, tmp_path / "spoiled"))


@pytest.fixture
def new(servers: LiveServers, tmp_path: Path) -> Iterator[World]:
    """An empty one."""
    with system(servers, tmp_path / "new") as made:
        yield made


def rows_of(world: World) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    with world.db.connect() as conn:
        return {
            table.name: sorted(conn.execute(text(f'SELECT to_jsonb(t)::text FROM "{table.name}" t')).scalars())
            for table in dump.tables(conn)
        }


def objects_of(world: World) -> dict[str, bytes]:
    return {item.key: world.storage.get(item.key) for item in world.storage.list("")}


def test_a_real_title_comes_back_and_plays(world: World, new: World, clips: Clips, tmp_path: Path) -> None:
    asset = present(world, clips("plain"))
    with world.db.begin() as conn:
        key = create_key(conn, "mine")
        conn.exec_driver_sql("CREATE TABLE alembic_version (version_num varchar(32))")  # these tables were not made by migration
        conn.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{migrate.newest()}')")
    archive = Folder(tmp_path / "backup")
    made = backup(world, archive, with_objects=True)
    assert (made.lost, made.revision) == ((), migrate.newest())
    done = restore(new, archive)
    assert (done.missing, done.damaged, done.objects) == ((), (), made.objects)
    assert rows_of(new) == rows_of(world)
    with new.db.begin() as conn:
        assert find_key(conn, key.secret) is not None
        found = store.get_asset(conn, asset.id)
        assert job_store.enqueue(conn, NewJob("kind", "subject", "")).id  # numbering goes on behind what came back
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
    assert texts_of(new, found.id) == texts_of(world, asset.id)
    played, before = read_back(new, found, tmp_path / "there"), read_back(world, asset, tmp_path / "here")
    assert [(name, track.segments) for name, track in played.tracks.items()] == [
        (name, track.segments) for name, track in before.tracks.items()
    ]
    assert scrub.scrub(new, scrub.Options()).left == ()


def test_everything_comes_back(old: World, new: World, whole: Path) -> None:
    assert restore(new, Folder(whole)).missing == ()
    assert rows_of(new) == rows_of(old)
    assert objects_of(new) == objects_of(old)


def test_a_backup_without_objects_says_what_is_missing(old: World, new: World, tmp_path: Path) -> None:
    archive = Folder(tmp_path)
    made = backup(old, archive, with_objects=False)
    assert not [name for name in archive.sizes() if name.startswith("objects/")]
    everything = objects_of(old)
    lost = sorted(everything)[3]
    for key, data in everything.items():
        if key != lost:
            new.storage.put(key, data)
    done = restore(new, archive)
    assert (done.missing, done.objects) == ((lost,), made.objects - 1)


def test_it_works_in_a_bucket_too(old: World) -> None:
    place = open_archive(f"s3://{old.settings.s3_bucket}-backup/a/b", old.settings)
    made = backup(old, place, with_objects=True)
    assert examine(place) == made
    name = next(item.kept for item in items(place.read(INVENTORY)))
    assert hashlib.sha256(b"".join(place.read(name))).hexdigest() == name.rpartition("/")[2]
    for target in (f"s3://{old.settings.s3_bucket}", "s3://"):
        with pytest.raises(BadRequest):
            open_archive(target, old.settings)


def test_a_place_holds_one_backup(old: World, whole: Path) -> None:
    with pytest.raises(Conflict, match="There is a backup already"):
        backup(old, Folder(whole), with_objects=False)


def test_only_an_empty_system_takes_a_backup(old: World, new: World, whole: Path) -> None:
    before = rows_of(old)
    with pytest.raises(Conflict, match="not empty"):
        restore(old, Folder(whole))
    assert rows_of(old) == before
    new.storage.put(keys.SOURCES + "ast_other/source", b"of somebody else")
    with pytest.raises(Conflict, match="not empty"):
        restore(new, Folder(whole))
    with new.db.connect() as conn:
        assert store.list_assets(conn).assets == ()


def test_what_an_empty_system_does_by_itself_is_no_obstacle(new: World, whole: Path) -> None:
    migrate.upgrade(new.settings.database_url)
    with new.db.begin() as conn:
        key = create_key(conn, "the first")
        job_store.enqueue(conn, NewJob("recommend.compact", "2026-01-01", ""))
    assert restore(new, Folder(whole)).missing == ()
    with new.db.begin() as conn:
        assert find_key(conn, key.secret) is not None


def spoil(folder: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    (folder / name).write_bytes(change((folder / name).read_bytes()))


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def shortened(data: bytes) -> bytes:
    return data[:-1]


def with_other_rows(data: bytes) -> bytes:
    return data.replace(b'"rows": ', b'"rows": 1', 1)


def of_a_later_format(data: bytes) -> bytes:
    return manifest_bytes(replace(manifest_of(data), revision="9999"))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("tables/assets.copy.gz", flipped, "tables/assets.copy.gz is not what was written"),
        ("tables/segments.copy.gz", shortened, "tables/segments.copy.gz is not what was written"),
        (INVENTORY, shortened, f"{INVENTORY} is not what was written"),
        (MANIFEST, with_other_rows, "was changed after it was written"),
        (MANIFEST, shortened, "cannot be read"),
    ],
)
def test_a_backup_that_was_changed_is_refused(spoiled: Path, name: str, change: Callable[[bytes], bytes], said: str) -> None:
    spoil(spoiled, name, change)
    with pytest.raises(HeadwaterError, match=said):
        examine(Folder(spoiled))


@pytest.mark.parametrize("lost", [MANIFEST, INVENTORY, "tables/assets.copy.gz"])
def test_half_a_backup_is_refused(spoiled: Path, lost: str) -> None:
    (spoiled / lost).unlink()
    with pytest.raises(HeadwaterError, match=r"no whole backup|not whole"):
        examine(Folder(spoiled))


@pytest.mark.parametrize("change", [of_a_later_format, with_other_rows])
def test_a_backup_that_is_refused_changes_nothing(new: World, spoiled: Path, change: Callable[[bytes], bytes]) -> None:
    spoil(spoiled, MANIFEST, change)
    with pytest.raises(HeadwaterError, match=r"newer Headwater|was changed"):
        restore(new, Folder(spoiled))
    assert migrate.current(new.settings.database_url) is None
    assert list(new.storage.list("")) == []


def kept_of(folder: Path) -> list[tuple[str, str]]:
    return [(item.key, item.kept) for item in items(Folder(folder).read(INVENTORY))]


def test_a_damaged_object_in_a_backup_is_left_out_and_named(old: World, new: World, spoiled: Path) -> None:
    (key, name), (other, gone), *_ = kept_of(spoiled)
    spoil(spoiled, name, flipped)
    (spoiled / gone).unlink()
    done = restore(new, Folder(spoiled))
    assert set(done.damaged) == set(done.missing) == {key, other}
    assert objects_of(new) == {name: data for name, data in objects_of(old).items() if name not in (key, other)}


def test_a_damaged_object_in_the_store_is_not_taken_for_good(old: World, tmp_path: Path) -> None:
    key = next(iter(old.storage.list(keys.PRESENTATIONS))).key
    good = old.storage.get(key)
    old.storage.put(key, flipped(good))
    made = backup(old, Folder(tmp_path), with_objects=True)
    old.storage.put(key, good)
    assert made.lost == (key,)
    assert [item for item, name in kept_of(tmp_path) if not name] == [key]


class PowerCut(Exception):
    """Nothing expects it."""


def cut_after(calls: int, work: Callable[..., None]) -> Callable[..., None]:
    """`work`, until the power goes."""
    left = [calls]

    def until_then(*arguments: Any, **more: Any) -> None:
        if not left[0]:
            raise PowerCut
        left[0] -= 1
        work(*arguments, **more)

    return until_then


def test_what_was_broken_off_goes_on(old: World, new: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Folder(tmp_path / "backup")
    monkeypatch.setattr(Folder, "write", cut_after(24, Folder.write))
    with pytest.raises(PowerCut):
        backup(old, archive, with_objects=True)
    monkeypatch.undo()
    with pytest.raises(HeadwaterError, match="no whole backup"):
        examine(archive)
    backup(old, archive, with_objects=True)
    monkeypatch.setattr(S3Storage, "put", cut_after(5, S3Storage.put))
    with pytest.raises(PowerCut):
        restore(new, archive)
    monkeypatch.undo()
    assert restore(new, archive).missing == ()
    assert rows_of(new) == rows_of(old)
    assert objects_of(new) == objects_of(old)


def test_the_database_is_that_of_one_moment(old: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = dump.rows

    def with_somebody_else_at_work(conn: Connection, name: str) -> int:
        with old.db.begin() as other:
            store.create_asset(other, NewAsset(title="in between"))
        return rows(conn, name)

    with old.db.connect() as conn:
        before = rows(conn, "assets")
    monkeypatch.setattr(dump, "rows", with_somebody_else_at_work)
    made = backup(old, Folder(tmp_path), with_objects=False)
    with old.db.begin() as conn:
        conn.exec_driver_sql("DELETE FROM assets WHERE title = 'in between'")  # others compare what is there
    assert {table.table.name: table.rows for table in made.tables}["assets"] == before


def test_a_backup_of_older_tables_is_brought_to_these(
    servers: LiveServers, new: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "parts_of", lambda *_: [])  # a program of then asks for no table of now
    newest = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations"))).get_revision(migrate.newest())
    before = str(newest.down_revision)
    with system(servers, tmp_path / "older") as older:
        migrate.upgrade(older.settings.database_url, before)
        with older.db.begin() as conn:
            conn.exec_driver_sql("INSERT INTO assets (id, title) VALUES ('ast_older', 'from before')")
        made = backup(older, Folder(tmp_path / "backup"), with_objects=True)
    assert made.revision == before
    migrate.upgrade(new.settings.database_url)  # an empty one of now
    assert restore(new, Folder(tmp_path / "backup")).missing == ()
    assert migrate.current(new.settings.database_url) == migrate.newest()
    with new.db.connect() as conn:
        assert store.get_asset(conn, "ast_older").title == "from before"
