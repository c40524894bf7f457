"""What the parts are told, and what the record of a stack may say."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.core.api_keys import is_key
from shared.core.errors.stack import PortTaken
from shared.core.settings import Settings
from shared.stack.ports import LOOPBACK, Ports
from shared.stack.programs import volume_megabytes
from shared.stack.state import StateFolder
from shared.stack.wiring import Wiring, wire


@pytest.fixture(autouse=True)
def no_own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("VOXMOOD_"):
            monkeypatch.delenv(name)


@pytest.fixture
def ports() -> Iterator[Ports]:
    with Ports() as chosen:
        yield chosen


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.make()
    return made


def names(wiring: Wiring) -> list[str]:
    return [part.name for part in wiring.programs]


def test_the_parts_are_told_by_settings_that_voxmood_reads(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring = wire(folder, ports, workers=3, api_port=None)
    for name, value in wiring.environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.workers == 3
    assert f"http://{settings.api_host}:{settings.api_port}" == wiring.record.api_url
    assert settings.s3_endpoint == wiring.record.s3_endpoint
    assert settings.s3_secret_key.get_secret_value() == folder.credentials().s3_secret_key
    assert folder.credentials().queue_password in settings.broker_url.get_secret_value()
    assert settings.database_url == f"sqlite:///{folder.path}/voxmood.db"


def test_no_secret_stands_on_a_command_line_or_in_the_record(folder: StateFolder, ports: Ports) -> None:
    wiring = wire(folder, ports, workers=1, api_port=None)
    public = wiring.record.model_dump_json() + repr([part.argv for part in wiring.programs])
    for secret in folder.credentials().model_dump().values():
        assert secret not in public
    assert oct((folder.path / "queue" / "valkey.conf").stat().st_mode)[-3:] == "600"


def test_servers_that_the_user_names_are_used_and_not_started(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMOOD_DATABASE_URL", "postgresql+psycopg://me:hunter2@db.example/vox")
    monkeypatch.setenv("VOXMOOD_BROKER_URL", "redis://:hunter2@queue.example/0")
    monkeypatch.setenv("VOXMOOD_S3_ENDPOINT", "https://s3.example")
    monkeypatch.setenv("VOXMOOD_S3_SECRET_KEY", "theirs")
    wiring = wire(folder, ports, workers=1, api_port=None)
    assert not {"queue", "store"} & set(names(wiring))
    assert wiring.environment["VOXMOOD_BROKER_URL"] == "redis://:hunter2@queue.example/0"
    assert wiring.environment["VOXMOOD_S3_SECRET_KEY"] == "theirs"
    assert wiring.record.database_url == "postgresql+psycopg://me:***@db.example/vox"
    assert wiring.record.broker_url == "redis://:***@queue.example/0"


def test_a_relative_database_is_the_one_in_the_users_folder(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOXMOOD_DATABASE_URL", "sqlite:///mine.db")
    wiring = wire(folder, ports, workers=1, api_port=None)
    assert wiring.environment["VOXMOOD_DATABASE_URL"] == f"sqlite:///{tmp_path}/mine.db"


def test_a_stack_gets_the_ports_that_it_had_last_time(folder: StateFolder) -> None:
    with Ports() as first:
        before = wire(folder, first, workers=1, api_port=None).record
        with Ports() as others:
            beside = wire(folder, others, workers=1, api_port=None).record
    assert not set(before.ports.values()) & set(beside.ports.values())
    folder.write(beside)
    with Ports() as later:
        assert wire(folder, later, workers=1, api_port=None).record.ports == beside.ports


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(folder: StateFolder, ports: Ports) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {taken} is taken by another program"):
            wire(folder, ports, workers=1, api_port=taken)


def test_the_api_is_looked_for_where_it_listens(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMOOD_API_HOST", "127.0.0.2")
    assert wire(folder, ports, workers=1, api_port=None).record.api_url.startswith("http://127.0.0.2:")
    for host, reached in (("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")):
        monkeypatch.setenv("VOXMOOD_API_HOST", host)
        record = wire(folder, ports, workers=1, api_port=None).record
        assert record.api_url.startswith(f"http://{reached}:")


def test_where_keys_are_asked_for_the_page_has_its_own_and_nobody_else_has_it(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(wiring: Wiring) -> dict[str, str]:
        return {part.name: value for part in wiring.programs for value in part.environment.values()
                if value.startswith("vm_")}  # fmt: skip

    monkeypatch.setenv("VOXMOOD_API_KEY", "the user's own")
    assert told(wire(folder, ports, workers=1, api_port=None)) == {}
    monkeypatch.setenv("VOXMOOD_API_HOST", "0.0.0.0")
    wiring = wire(folder, ports, workers=1, api_port=None)
    key = folder.credentials().page_key
    assert is_key(key)
    assert told(wiring) == {"page": key, "page-key": key}
    assert not {key, "the user's own"} & set(wiring.environment.values())
    assert key not in wiring.record.model_dump_json() + repr([part.argv for part in wiring.programs])


def test_a_state_folder_from_before_there_were_keys_gets_one(folder: StateFolder) -> None:
    before = folder.credentials()
    old = before.model_copy(update={"page_key": ""})
    (folder.path / "credentials.json").write_text(old.model_dump_json(exclude={"page_key"}))
    again = folder.credentials()
    assert is_key(again.page_key)
    assert again.model_copy(update={"page_key": before.page_key}) == before
    assert folder.credentials() == again


def test_the_page_is_a_client_of_this_stack_and_reports_to_nobody(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMOOD_URL", "http://elsewhere.example")
    wiring = wire(folder, ports, workers=1, api_port=None)
    page = next(part for part in wiring.programs if part.name == "page")
    assert page.environment["VOXMOOD_URL"] == wiring.record.api_url
    assert {"--browser.gatherUsageStats=false", f"--server.address={LOOPBACK}"} < set(page.argv)
    assert f"--server.port={wiring.record.page_url.rpartition(':')[2]}" in page.argv


def test_no_proxy_stands_before_the_loopback(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    environment = wire(folder, ports, workers=1, api_port=None).environment
    assert environment["no_proxy"] == environment["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"


def test_another_celerys_broker_is_not_ours(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere.example/0")
    assert "CELERY_BROKER_URL" not in wire(folder, ports, workers=1, api_port=None).environment


def test_python_may_write_its_bytecode(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = wire(folder, ports, workers=1, api_port=None).environment
    assert "PYTHONDONTWRITEBYTECODE" not in environment, "TensorFlow would be compiled at each start"


@pytest.mark.parametrize(
    ("free_gigabytes", "megabytes"),
    [(0, 128), (7, 128), (8, 128), (16, 256), (40, 640), (64, 1024), (900, 1024)],
)
def test_the_files_of_the_store_grow_with_the_room_on_its_disk(free_gigabytes: int, megabytes: int) -> None:
    assert volume_megabytes(free_gigabytes * 2**30) == megabytes


def test_the_store_is_told_the_size_of_its_files(
    folder: StateFolder, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.stack.programs.shutil.disk_usage", lambda _: SimpleNamespace(free=40 * 2**30))
    store = next(
        part for part in wire(folder, ports, workers=1, api_port=None).programs if part.name == "store"
    )
    assert "-master.volumeSizeLimitMB=640" in store.argv
