"""What we use of other packages that they do not promise to keep: each has an upper bound, and is there."""

from __future__ import annotations

import importlib
import tomllib

import pytest
from packaging.requirements import Requirement

from shared.core.settings import REPOSITORY

# Package, and `module:name`; then where it is used, and why nothing public does it.
INTERNALS = {
    ("uvicorn", "uvicorn.protocols.http.h11_impl:H11Protocol"):
        "api.http_protocol: nothing else sees a header while it comes in, and may cut it off",
    ("tensorflow-cpu", "tensorflow.python.framework.convert_to_constants:convert_variables_to_constants_v2"):
        "shared.models.training.export: tf2onnx's own way loses values of Keras 3.15",
    ("keras", "keras.src.models.functional:Functional"):
        "shared.models.serving.provenance: saved networks name this module, and no other is loaded",
    ("celery", "celery.worker:state"):
        "workers.watchdog: which tasks this worker has taken",
    ("celery", "celery.worker.request:Request"):
        "workers.app: is told of a task whose child was killed",
    ("streamlit", "streamlit.runtime.scriptrunner:get_script_run_ctx"):
        "shared.page.app: whose session it is",
}  # fmt: skip


@pytest.mark.parametrize(("package", "where"), INTERNALS, ids=[where for _, where in INTERNALS])
def test_an_internal_is_there_and_its_package_has_an_upper_bound(package: str, where: str) -> None:
    module, _, name = where.partition(":")
    assert hasattr(importlib.import_module(module), name)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["train"], *extras["page"]]
    wanted = {one.name: one for one in map(Requirement, lines)}[package]
    assert any(bound.operator == "<" for bound in wanted.specifier), INTERNALS[package, where]
