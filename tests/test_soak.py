"""64 threads on shared clients, with faults: no caller gets another's result, and nothing leaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CALLS = int(os.environ.get("SOAK_CALLS", "2000"))


def test_a_soak() -> None:
    """
    Each caller gets its own result; nothing leaks; the journal is empty once unknown outcomes were
    reported.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.soak", str(CALLS)],
        capture_output=True,
        text=True,
        timeout=3600,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["calls"] == CALLS // 4 * 4
    assert told["wrong"] == []
    assert "foreign" not in told["outcomes"]
    assert told["outcomes"]["ok"] > CALLS // 2
    assert told["after"]["fds"] <= told["before"]["fds"] + 2
    assert told["after"]["threads"] <= told["before"]["threads"]
    assert told["quarters"][-1]["fds"] <= told["quarters"][0]["fds"] + 64
    assert told["quarters"][-1]["rss"] <= told["quarters"][1]["rss"] + 16 * 1024
    assert set(told["resumed"]) <= {"OutcomeUnknownError"}
    assert told["spool"] == []
