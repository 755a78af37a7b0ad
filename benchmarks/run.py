"""
Measure the library against the vendors' SDKs and its peers: ``uv run benchmarks/run.py``.

Writes ``RESULTS.md``, ``results.json`` and ``plots/`` beside this file. ``--profile CASE`` shows
where our time goes
instead. Only ratios are judged: absolute times are this machine's.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cases import CASES, GROWTHS, WHY, Case
from environments import DAY, HERE, OURS, PEERS, RAW, EnvironmentFailed, Subject, harness
from measure import Figures, Outcome, Upstream, Worker, grown, measured, upstream
from report import LINEAR, Exponent, Verdict, table, verdict

ROUNDS = {"import": (7, 2), "cold": (7, 2), "steady": (11, 3), "connections": (1, 1)}
"""(of ours and the raw SDK, of peers) by the kind of case."""

QUICK_ROUNDS = {"import": (3, 1), "cold": (3, 1), "steady": (5, 1), "connections": (1, 1)}
LONG = {"threads": (3, 1), "leave": (3, 1)}
"""Commands that take seconds, or tell all at once."""


def main() -> int:
    arguments = _arguments()
    if arguments.profile:
        return _profile(arguments.profile)
    chosen = [case for case in CASES if arguments.only in case.name]
    growths = [growth for growth in GROWTHS if arguments.only in f"growth: {growth.name}"]
    if not chosen and not growths:
        print(
            f"no case {arguments.only!r}; there are: {', '.join(case.name for case in CASES)}, growth: ..."
        )
        return 2
    subjects = (OURS, RAW) if arguments.no_peers else (OURS, RAW, *PEERS)
    versions, failures = _versions(subjects)
    subjects = tuple(subject for subject in subjects if subject.name in versions)
    verdicts: list[Verdict] = []
    raw: dict[str, Any] = {}
    curves: dict[str, list[Figures]] = {}
    with upstream(harness()) as there:
        for case in chosen:
            outcome = _measured(case, subjects, there, quick=arguments.quick)
            raw[case.name] = outcome.rounds
            failures |= {
                f"{name}: {case.name}": _escaped(why) for name, why in outcome.failures.items()
            }
            found = [verdict(case.name, row, outcome) for row in case.rows]
            verdicts += found
            print("\n".join(table(found)[2:]), flush=True)
        for growth in growths:
            points = grown(growth, there, rounds=2 if arguments.quick else 5)
            curves[growth.name] = points
            print(f"growth with {growth.name}: exponent {Exponent.of(points)}", flush=True)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "packages_as_of": DAY,
        "versions": versions,
        "failures": failures,
        "verdicts": [found.as_json() for found in verdicts],
        "growth": curves,
        "rounds": raw,
    }
    if not arguments.only or arguments.write:
        _write(facts, verdicts, curves)
    print("\n".join(table(verdicts)))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument(
        "--only", default="", metavar="CASE", help="cases whose name contains this; writes no files"
    )
    parser.add_argument("--no-peers", action="store_true", help="ours and the raw SDKs alone")
    parser.add_argument("--write", action="store_true", help="write the files with --only too")
    parser.add_argument("--profile", metavar="CASE", help="profile ours in this case")
    return parser.parse_args()


def _versions(subjects: Sequence[Subject]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """(each client's packages, why those that are missing are)."""
    versions: dict[str, dict[str, str]] = {}
    failures: dict[str, str] = {}
    for subject in subjects:
        try:
            versions[subject.name] = subject.versions()
        except (EnvironmentFailed, subprocess.CalledProcessError) as error:
            failures[subject.name] = _escaped(str(error))
    return versions, failures


def _measured(case: Case, subjects: Sequence[Subject], there: Upstream, *, quick: bool) -> Outcome:
    able = [subject for subject in subjects if case.with_peers or not subject.is_peer]
    able = [s for s in able if not case.statements or s.name in case.statements]
    able = [subject for subject in able if not case.operation or _offers(subject, case.operation)]
    rounds, peer_rounds = (QUICK_ROUNDS if quick else ROUNDS)[case.kind]
    if case.command["do"] in LONG and case.kind == "steady":
        rounds, peer_rounds = (1, 1) if quick else LONG[case.command["do"]]
    start = time.monotonic()
    outcome = measured(case, able, there, rounds=rounds, peer_rounds=peer_rounds)
    print(
        f"{case.name}: {time.monotonic() - start:.0f} s, {', '.join(outcome.rounds)}",
        file=sys.stderr,
    )
    for name, why in outcome.failures.items():
        print(f"  {name} failed: {why}", file=sys.stderr)
    return outcome


def _offers(subject: Subject, operation: str) -> bool:
    source = (HERE / "subjects" / f"{subject.module}.py").read_text(encoding="utf-8")
    return re.search(rf"^(def )?.*\b{operation}\b.*( =|\()", source, re.MULTILINE) is not None


def _profile(name: str) -> int:
    case = next((case for case in CASES if case.name == name), None)
    if case is None or not case.operation:
        print(f"no case {name!r} with an operation")
        return 2
    with upstream(harness()) as there:
        worker = Worker(OURS, there, case.operation, case.scenario, case.world)
        print(
            worker.ask(do="profile", n=10 if "stream" in name or "picture" in name else 200)["text"]
        )
        worker.close()
    return 0


def _write(
    facts: dict[str, Any], verdicts: Sequence[Verdict], curves: dict[str, list[Figures]]
) -> None:
    results = HERE / "results.json"
    results.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (HERE / "RESULTS.md").write_text(_document(facts, verdicts, curves), encoding="utf-8")
    subprocess.run(
        [harness(), str(HERE / "plots.py"), str(results), str(HERE / "plots")], check=True
    )


def _document(
    facts: dict[str, Any], verdicts: Sequence[Verdict], curves: dict[str, list[Figures]]
) -> str:
    missed = [found.row.work for found in verdicts if found.met is False or found.peer_met is False]
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {facts['date']} by `uv run benchmarks/run.py`: {facts['machine']}; packages as of {DAY[:10]}.",
        "",
        "Every client runs in a process of its own against one upstream on the loopback, whose answers are bytes made in",
        "advance. CPU is user and system time of the client's process, all threads. The clients take turns (A B C, C B A, ...);",
        "a ratio is the median of the ratios of each round, with its quartiles. Absolute figures are this machine's: read the",
        "ratios. Rows without a unit of time compare what their name says. Ours runs as users run it: checks, usage, error",
        "mapping and warnings included. The best peer is the one with the best median.",
        "",
        *(table(verdicts)),
        "",
        *(
            ["Missed, and why:", "", *(f"- {work}: {_why(work)}." for work in missed)]
            if missed
            else ["Missed: none."]
        ),
        "",
        "![Ratios](plots/ratios.png)",
        "",
        "## Growth",
        "",
        "The exponent of ours above the cost of the smallest size, fitted to the sizes that cost at least half as much again,",
        f"and the exponent of the last step; 1 is linear, and up to {LINEAR} passes for it.",
        "",
        "| grows with | sizes | CPU | exponent | linear? | memory at the largest |",
        "|---|---|---|---|---|---|",
    ]
    for name, points in curves.items():
        found, first, last = Exponent.of(points), points[0], points[-1]
        cells = [
            name,
            f"{first['n']} to {last['n']}",
            f"{first['cpu'] * 1e3:.2f} to {last['cpu'] * 1e3:.2f} ms",
            str(found or "hardly any growth"),
            "yes" if found is None or found.is_linear else "**no**",
            f"{last['growth'] / 2**20:.1f} MiB" if last["growth"] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "![Growth](plots/growth.png)", "", "## Versions", ""]
    for name, packages in facts["versions"].items():
        lines.append(
            f"- {name}: {', '.join(f'{package} {version}' for package, version in packages.items())}"
        )
    if facts["failures"]:
        lines += ["", "## What could not be measured", ""]
        lines += [f"- {name}: {why}" for name, why in facts["failures"].items()]
    return "\n".join(lines) + "\n"


def _why(work: str) -> str:
    fitting = [start for start in WHY if work.startswith(start)]
    return WHY[max(fitting, key=len)] if fitting else "not known"


def _escaped(text: str) -> str:
    return text.replace(str(Path.home()), "~").replace(str(HERE), "benchmarks").replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
