"""A supervisor of quick stand-in parts beside a real Valkey: programs that do what parts do at their worst.

`python -m tests.stand_ins STATE [PART[=GRACE_S]…]`
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from shared.stack import programs
from shared.stack.ports import LOOPBACK, Ports, candidates
from shared.stack.programs import Program
from shared.stack.state import Record, StateFolder
from shared.stack.supervisor import Supervisor
from shared.stack.wiring import Wiring

PROGRAMS = {
    # It starts another process and, asked to end, ends without it.
    "parent": "import subprocess, time; subprocess.Popen(['sleep', '1000']); time.sleep(1000)",
    # It does not end when asked.
    "stubborn": (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('stubborn', flush=True); time.sleep(1000)"
    ),
    "crasher": "raise SystemExit(3)",
    "once": "print('done')",
}


def wire(folder: StateFolder, ports: Ports) -> Wiring:
    port = ports.choose(candidates(16_379))
    assert port is not None
    here = f"http://{LOOPBACK}:{port}"
    record = Record(
        state_dir=str(folder.path),
        api_url=here,
        docs_url=here,
        flower_url=here,
        database_url="sqlite://",
        broker_url=here,
        s3_endpoint=here,
        logs=str(folder.logs),
        workers=1,
        ports={"queue": port},
    )
    stand_ins = []
    for argument in sys.argv[2:]:
        name, _, grace_s = argument.partition("=")
        argv = (sys.executable, "-c", PROGRAMS[name])
        stand_ins.append(Program(name, argv, grace_s=float(grace_s or 1), once=name == "once"))
    queue = programs.queue(folder.path / "queue", port, folder.credentials().queue_password)
    return Wiring(record, [queue, *stand_ins], {"VOXMOOD_STATE": str(folder.path)})


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, format="%(message)s")
    Supervisor.prepare(StateFolder(Path(sys.argv[1])), wire).run()
