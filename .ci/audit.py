"""Known vulnerabilities of what requirements.lock installs: fails on one that nobody has accepted.

    python3 .ci/audit.py

Needs uv, the package index and an advisory database. Where one of them is out of reach nothing has been looked at, and
the last line says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
TOOL = ["-m", "uv", "tool", "run", "--from", "pip-audit==2.10.1", "pip-audit", "--progress-spinner=off"]
TOOL += ["--format=json", "--require-hashes", "--disable-pip", "-r", str(LOCK)]
# Identifier of a vulnerability: why it does not matter here.
ACCEPTED: dict[str, str] = {}


def judge(report: dict[str, Any], accepted: dict[str, str]) -> tuple[int, list[str]]:
    """The exit status, and what to say.

    Args:
        report: What pip-audit writes as JSON.
        accepted: Reasons by identifier.
    """
    looked_at = [one for one in report["dependencies"] if "vulns" in one]
    if not looked_at:
        reasons = {one.get("skip_reason", "no reason given") for one in report["dependencies"]}
        return 0, [f"SKIPPED: no package could be looked up, nothing is known: {min(reasons, default='empty list')}"]
    lines, status = [], 0
    for one in looked_at:
        for found in one["vulns"]:
            names = [found["id"], *found.get("aliases", [])]
            reason = next((accepted[name] for name in names if name in accepted), None)
            fixed = ", ".join(found.get("fix_versions", [])) or "no version"
            what = f"{one['name']} {one['version']}: {found['id']}, fixed in {fixed}"
            lines.append(f"accepted: {what}; {reason}" if reason else f"VULNERABLE: {what}")
            status |= reason is None
    left = len(report["dependencies"]) - len(looked_at)
    lines.append(f"{len(looked_at)} packages looked up" + (f", {left} NOT" if left else ""))
    return int(status), lines


def main() -> int:
    done = subprocess.run([sys.executable, *TOOL], capture_output=True, text=True, check=False)
    try:
        status, lines = judge(json.loads(done.stdout), ACCEPTED)
    except ValueError:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        status, lines = 0, [f"SKIPPED: no answer, nothing is known: {said[-1].strip()[:200] if said else 'silence'}"]
    print("\n".join(f"audit: {line}" for line in lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
