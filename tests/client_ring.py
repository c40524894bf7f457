"""`make client-test`: starts a real stack, and runs the client's tests in their own virtual environment.

`python -m tests.client_ring PYTHON`; PYTHON: that of an environment with the client's wheel and no server.
"""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from shared.core.settings import REPOSITORY
from tests.stacks import running_stack

CLIENT = REPOSITORY / "client"


def main(python: str) -> int:
    """The exit status of pytest."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    with (
        tempfile.TemporaryDirectory(prefix="voxmood-client-") as temporary,
        running_stack(Path(temporary) / "server", VOXMOOD_WEBHOOK_SECRET=secret) as stack,
    ):
        # Where the examples of docstrings and README find an archive, and nothing of the repository.
        here = Path(temporary) / "here"
        here.mkdir()
        made = stack.voxmood("demo", "--output", str(here / "recordings.zip"), "--clips", "12")
        assert made.returncode == 0, made.stderr
        environment = {
            "PATH": f"{Path(python).parent}:/usr/bin:/bin",
            "HOME": str(here),
            "VOXMOOD_STATE": str(Path(temporary) / "client"),
            "VOXMOOD_URL": stack.api_url,
            "VOXMOOD_WEBHOOK_SECRET": secret,
        }
        options = ["-c", str(CLIENT / "pyproject.toml"), "--rootdir", str(CLIENT)]
        command = [python, "-m", "pytest", *options, "--pyargs", "voxmood", str(CLIENT / "tests")]
        return subprocess.run(command, cwd=here, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
