"""
One run on a cluster of two Dask workers, some of which are killed: ``python -m tests.batch.on_dask
FILE``, with the JSON of ``tests.batch.killed`` and ``"kills"``: after how many lines.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster

from aigc_kit.batch import Line, Summary, run_batch
from tests.batch import killed


class Killer:
    """Kills one worker's process after so many lines; its nanny starts another one."""

    def __init__(self, client: Client, kills: list[int]) -> None:
        self.client, self.kills = client, sorted(kills)
        self.lines = 0
        self.killed: list[int] = []

    def __call__(self, line: Line) -> None:
        self.lines += 1
        if self.kills and self.lines >= self.kills[0]:
            self.kills.pop(0)
            pids = [pid for pid in self.client.run(os.getpid).values() if pid not in self.killed]
            os.kill(pids[0], signal.SIGKILL)
            self.killed.append(pids[0])


def ran(told: dict[str, Any]) -> tuple[Summary, int]:
    """The summary, and how many workers were killed."""
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=told.get("threads", 4),
            dashboard_address=None,
            local_directory=told["out"] + ".dask",
        ) as cluster,
        Client(cluster) as client,
    ):
        killer = Killer(client, told.get("kills", []))
        summary = run_batch(
            killed.rows(told["jobs"]),
            told["out"],
            **killed.options(told["url"], told["key"]),
            resume=True,
            executor=client.get_executor(),
            concurrency=sum(client.nthreads().values()),
            on_line=killer,
            retry_ambiguous=told.get("retry_ambiguous", False),
        )
        return summary, len(killer.killed)


def main(path: str) -> None:
    summary, count = ran(json.loads(Path(path).read_text("utf-8")))
    print(json.dumps({**summary.to_dict(), "killed": count}))


if __name__ == "__main__":
    main(*sys.argv[1:])
