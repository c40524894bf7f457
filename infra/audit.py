# ruff: noqa: T201
"""Known vulnerabilities of the locked packages: `python infra/audit.py LOCK [OSV's address]`.

Exit status 1 if one is known that an upgrade would mend. Where no fix exists it is told, and no failure:
there is nothing to be done but to know it. The same where the database cannot be reached.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

OSV = "https://api.osv.dev/v1/query"


def main(lock: str, address: str = OSV) -> int:
    """Ask with pip-audit; tell a line for each finding."""
    program = Path(sys.executable).with_name("pip-audit")
    options = ["--disable-pip", "--vulnerability-service=osv", f"--osv-url={address}", "--timeout=10"]
    output = ["--format=json", "--progress-spinner=off"]
    command = [str(program), f"--requirement={lock}", *options, *output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    try:
        audited = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"not checked, the database of vulnerabilities was not reached: {reason[:200]}")
        return 0
    status = 0
    for package in audited:
        for known in package.get("vulns", []):
            fixed = ", ".join(known["fix_versions"])
            print(
                f"{package['name']} {package['version']}: {known['id']}, fixed in {fixed or 'no version yet'}"
            )
            status = 1 if fixed else status
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
