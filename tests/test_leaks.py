"""
The session's check for threads: each worker of pytest-xdist makes its own, and one that fails fails
the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CONFTEST = """
import tests.conftest

tests.conftest.THREAD_SECONDS = 0.2
no_thread_is_left = tests.conftest.no_thread_is_left
"""
LEAK = """
import threading

def test_that_starts_a_thread():
    threading.Thread(target=threading.Event().wait, name="forgotten", daemon=True).start()
"""


@pytest.mark.parametrize(("test", "code"), [(LEAK, 1), ("def test_that_starts_nothing(): pass", 0)])
def test_a_thread_that_is_left_fails_the_run(tmp_path: Path, test: str, code: int) -> None:
    """Also when the test itself has passed, and it was a worker that ran it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_leak.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "."]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("forgotten" in done.stdout) == bool(code)
