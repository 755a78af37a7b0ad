"""The manifest: one line for each job, whole lines only, whatever happens to the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit.batch import Line, Manifest, read_manifest
from aigc_kit.batch.manifest import FILE
from aigc_kit.errors import ConfigurationError, InvalidInputError

THREE = [Line(id="a", prompt="一只猫\u2028"), Line(id="b", status="failed"), Line(id="c")]


def written(folder: Path, lines: list[Line]) -> bytes:
    with Manifest(folder) as manifest:
        for line in lines:
            manifest.append(line)
    return (folder / FILE).read_bytes()


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    written(tmp_path, THREE)
    assert list(read_manifest(tmp_path)) == THREE


def test_a_line_has_every_field_of_the_format(tmp_path: Path) -> None:
    """What other programs read it for."""
    raw = json.loads(written(tmp_path, [Line(id="a")]))
    assert list(raw) == [
        *("id", "kind", "status", "provider", "model", "prompt", "size", "url", "storage_key"),
        *("file", "thumbnail", "cost", "error", "attempts", "metadata", "started", "seconds"),
    ]


def test_the_last_line_of_a_job_counts(tmp_path: Path) -> None:
    """A resumed run appends; nothing is rewritten."""
    written(tmp_path, [Line(id="a", status="unknown"), Line(id="b")])
    written(tmp_path, [Line(id="a", status="done")])
    assert [(line.id, line.status) for line in read_manifest(tmp_path)] == [
        ("b", "done"),
        ("a", "done"),
    ]
    with Manifest(tmp_path) as manifest, manifest.seen() as seen:
        assert len(list(manifest.lines())) == 3
        assert (seen.get("a"), seen.get("z"), seen.counts()) == ("done ", None, {"done ": 2})


def test_a_manifest_that_was_cut_anywhere_is_repaired(tmp_path: Path) -> None:
    """Whole lines stay, half a line goes, and a whole one that lacks its newline gets it."""
    whole = written(tmp_path / "whole", THREE)
    ends = [place for place, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        folder = tmp_path / "cut"
        folder.mkdir(exist_ok=True)
        (folder / FILE).write_bytes(whole[:cut])
        with Manifest(folder) as manifest:
            expected = sum(end <= cut for end in ends)
            assert len(list(manifest.lines())) == expected, cut
            manifest.append(Line(id="new"))
        assert [line.id for line in read_manifest(folder)] == [*"abc"[:expected], "new"]


def test_a_torn_line_longer_than_a_block_is_repaired(tmp_path: Path) -> None:
    written(tmp_path, [Line(id="a"), Line(id="b", prompt="x" * 300_000)])
    with (tmp_path / FILE).open("r+b") as file:
        file.truncate(200_000)
    with Manifest(tmp_path) as manifest:
        assert [line.id for line in manifest.lines()] == ["a"]
        assert manifest.repaired > 190_000


def test_damaged_lines_in_the_middle_are_counted_and_left_out(tmp_path: Path) -> None:
    """The job of such a line is taken again; its image is found by its id."""
    whole = written(tmp_path, THREE)
    first, _, third = whole.splitlines(keepends=True)
    for damage in (
        b"\x00\x00\n",
        b"[]\n",
        b'{"id": 5}\n',
        b'{"id": "x", "status": "odd"}\n',
        b"\n",
    ):
        (tmp_path / FILE).write_bytes(first + damage + third)
        with Manifest(tmp_path) as manifest, manifest.seen():
            assert [line.id for line in manifest.lines()] == ["a", "c"]
            assert manifest.damaged == 2 * (damage != b"\n")
        assert [line.id for line in read_manifest(tmp_path)] == ["a", "c"]


def test_fields_of_a_later_version_are_left_out() -> None:
    assert Line.from_json('{"id": "a", "mood": "good"}') == Line(id="a")


@pytest.mark.parametrize("value", [float("nan"), {1: [2, (3,)]}, {"bytes": b"x"}, "\ud800"])
def test_any_metadata_gives_a_line(tmp_path: Path, value: object) -> None:
    """A vendor's odd value must not lose the line of a paid image."""
    circle: list[object] = []
    circle.append(circle)
    raw = written(tmp_path, [Line(id="a", metadata={"odd": value, "circle": circle})])
    assert "NaN" not in raw.decode("utf-8", "surrogatepass")
    assert [line.id for line in read_manifest(tmp_path)] == ["a"]


@given(st.text(), st.text(), st.floats(0, 1e6))
def test_any_text_survives(name: str, prompt: str, seconds: float) -> None:
    line = Line(id=name, prompt=prompt, seconds=seconds)
    assert Line.from_json(line.to_json()) == line


def test_one_process_writes_a_manifest(tmp_path: Path) -> None:
    """A second run in the same directory is refused, and may come when the first has ended."""
    with Manifest(tmp_path):
        code = f"from aigc_kit.batch import Manifest; Manifest({str(tmp_path)!r})"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "another process works on" in ended.stderr
        with pytest.raises(ConfigurationError, match="another process"):
            Manifest(tmp_path)
    Manifest(tmp_path).close()


def test_a_killed_writer_leaves_its_lines(tmp_path: Path) -> None:
    """Each append has reached the system when it returns, and the lock dies with its process."""
    code = (
        "import os, signal\nfrom aigc_kit.batch import Line, Manifest\n"
        f"m = Manifest({str(tmp_path)!r}, sync_seconds=1e9)\n"
        "for n in range(10): m.append(Line(id=str(n)))\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with Manifest(tmp_path) as manifest:
        assert len(list(manifest.lines())) == 10


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="can be written"):
        Manifest(tmp_path / "file")
    with pytest.raises(InvalidInputError, match="is not the directory of a run"):
        read_manifest(tmp_path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_manifest_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A device would be read for ever."""
    (tmp_path / FILE).symlink_to("/dev/zero")
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        Manifest(tmp_path)
    with pytest.raises(InvalidInputError, match="is not the directory of a run"):
        read_manifest(tmp_path)


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else 0
    for _ in range(20):
        written(tmp_path, THREE)
        list(read_manifest(tmp_path))
    assert not before or len(os.listdir("/proc/self/fd")) <= before


def test_half_a_character_is_escaped(tmp_path: Path) -> None:
    """Every reader of JSON takes the manifest; a raw half is not UTF-8."""
    with Manifest(tmp_path) as manifest:
        manifest.append(Line(id="1", metadata={"title": "cut \ud83d"}))
    text = (tmp_path / FILE).read_text("utf-8")
    assert json.loads(text)["metadata"]["title"] == "cut \ud83d"
    (line,) = read_manifest(tmp_path)
    assert line.metadata["title"] == "cut \ud83d"


@pytest.mark.parametrize("more", ['"error":"x"', '"cost":5', '"metadata":[]'])
def test_a_line_of_another_shape_is_damaged(more: str) -> None:
    with pytest.raises(InvalidInputError, match="that is no object"):
        Line.from_json(f'{{"id":"a",{more}}}')
