"""Jobs from files, tables and iterables: the same rows, or a refusal before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit.batch.jobs import Defaults, Job
from aigc_kit.batch.sources import Source
from aigc_kit.errors import InvalidInputError

DEFAULTS = Defaults(providers=("volcengine",))
ROWS = [
    {"id": "1", "prompt": "一只猫", "size": "16:9", "options": {"seed": 7}},
    {"id": "2", "prompt": 'a dog, with "quotes"\nand a line', "metadata": {"sku": "A-1"}},
]


def jobs_of(jobs: Any, defaults: Defaults = DEFAULTS) -> list[Job]:
    source = Source(jobs, defaults)
    source.check()
    found = list(source)
    assert source.total == len(found)
    return found


def refused(*rows: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        jobs_of(list(rows))
    return str(caught.value)


def test_every_source_gives_the_same_jobs(tmp_path: Path) -> None:
    """A list, JSONL, CSV, TSV, pandas and three kinds of pyarrow."""
    expected = jobs_of(ROWS)
    assert [job.prompt for job in expected] == [row["prompt"] for row in ROWS]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\r\n\n" for row in ROWS)
    (tmp_path / "jobs.jsonl").write_text("\ufeff" + lines, "utf-8")
    flat = [
        {"id": "1", "prompt": "一只猫", "size": "16:9", "options.seed": 7, "metadata.sku": None},
        {"id": "2", "prompt": ROWS[1]["prompt"], "metadata.sku": "A-1"},
    ]
    frame = pd.DataFrame(flat)
    assert jobs_of(frame) == expected
    frame = frame.astype({"options.seed": "Int64"})
    frame.to_csv(tmp_path / "jobs.csv", index=False, encoding="utf-8-sig")
    frame.to_csv(tmp_path / "jobs.tsv", index=False, sep="\t")
    table = pa.Table.from_pylist(flat)
    for jobs in (
        *(tmp_path / "jobs.jsonl", str(tmp_path / "jobs.csv"), tmp_path / "jobs.tsv"),
        *(table, table.to_batches()[0]),
    ):
        assert jobs_of(jobs) == expected, jobs
    assert list(Source(table.to_reader(), DEFAULTS)) == expected
    assert jobs_of(frame) == expected


def test_pandas_gaps_are_absent_and_its_numbers_are_plain() -> None:
    """NaN, None, NaT and NA; an integer column with a gap is one of floats."""
    frame = pd.DataFrame(
        {
            "id": [1.0, 2.0],
            "prompt": ["a", "b"],
            "size": ["2K", float("nan")],
            "model": [None, pd.NA],
            "metadata.at": [pd.Timestamp("2026-11-26"), pd.NaT],
            "options.seed": [3, 4],
        }
    )
    first, second = jobs_of(frame)
    assert (first.id, second.id, first.size, second.size) == ("1", "2", "2K", "1024x1024")
    assert json.dumps(dict(first.options)) == '{"seed": 3}'
    assert (second.model, second.metadata) == ("", {})


def test_rows_without_an_id_get_one_from_their_content() -> None:
    """Twice the same row are two images, and the ids are the same on the next day."""
    rows = [{"prompt": "a"}, {"prompt": "b"}, {"prompt": "a"}, {"prompt": "a"}]
    found = jobs_of(rows)
    assert len({job.id for job in found}) == 4
    assert [found[2].id, found[3].id] == [f"{found[0].id}-2", f"{found[0].id}-3"]
    assert jobs_of(rows) == found
    assert jobs_of([{"prompt": "b"}])[0].id == found[1].id


def test_an_id_that_is_used_twice_is_refused() -> None:
    said = refused(
        {"id": "x", "prompt": "a"}, {"id": "y", "prompt": "a"}, {"id": "x", "prompt": "a"}
    )
    assert "job 3: id 'x' is the id of job 1 too" in said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a", "promt": "b"}, "unknown field 'promt'; did you mean 'prompt'?"),
        ({"prompt": "a", "seed": 7}, "'options.seed'"),
        ({"prompt": " "}, "prompt must say something"),
        ({"prompt": "\ud800"}, "not valid Unicode"),
        ({}, "prompt is missing"),
        ({"prompt": "a", "id": ""}, "id must be 1 to 200"),
        ({"prompt": "a", "id": True}, "id must be a text"),
        ({"prompt": "a", "kind": "video"}, "kind must be one of image, chat, embedding"),
        ({"prompt": "a", "options": [1]}, "options must be an object"),
        ({"prompt": "a", "options": {"n": 4}}, "write n jobs"),
        ({"prompt": "a", "options": {"idempotency_key": "k"}}, "the job's id is the key"),
        ({"prompt": "a", "messages": [1]}, "messages are for kind 'chat'"),
        ({"prompt": "a", "references": "no-such.png"}, "neither a URL nor a file"),
        ({"prompt": "a", "references": [object()]}, "needs an id"),
        ({"prompt": "a", "provider": 5}, "provider must be a name"),
        ({"prompt": "a", "provider": []}, "empty list"),
        ({"prompt": "a", "size": 5}, "size must be a text"),
        ({"prompt": "a", "size": "2K", "aspect_ratio": "1:1"}, "'size' is given twice"),
        ({"kind": "embedding", "texts": ["a", ""]}, "prompt must say something"),
        ({"kind": "chat", "prompt": "a", "messages": [{}]}, "are both given"),
        ("a cat", "a job must be a dict"),
    ],
)
def test_what_is_not_a_job_is_refused_with_its_place(row: Any, said: str) -> None:
    message = refused({"prompt": "good"}, row)
    assert said in message
    assert "1 of 2 jobs cannot be run, and nothing was sent" in message
    assert "job 2: " in message


def test_the_first_ten_problems_are_told() -> None:
    assert refused(*[{}] * 25).endswith("... and 15 more")


def test_a_job_needs_a_provider() -> None:
    with pytest.raises(InvalidInputError, match="no provider"):
        jobs_of([{"prompt": "a"}], Defaults())
    assert jobs_of([{"prompt": "a", "provider": "A, b,a"}], Defaults())[0].providers == ("a", "b")


def test_lines_of_a_file_are_named_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(b'\n{"prompt": "a"}\n{"prompt"\n[]\n"\xff"\n' + b"[" * 100_000)
    with pytest.raises(InvalidInputError) as caught:
        jobs_of(path)
    for said in (
        "line 3: it is not JSON",
        "line 4: it must be",
        "line 5: it is not UTF-8",
        "line 6",
    ):
        assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"prompt,prompt\na,b\n", "a column is there twice"),
        (b"prompt\na,b\n", "line 2: it has more cells"),
        (b'prompt\n"a\n', "line"),
        ("prompt\n猫在窗台上晒太阳\n".encode("gbk"), "save it as 'CSV UTF-8'"),
        (b"prompt\n" + b"a" * 200_000 + b"\n", "field larger than"),
    ],
)
def test_a_broken_csv_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "jobs.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=said):
        jobs_of(path)


@pytest.mark.parametrize("jobs", [{"prompt": "a"}, b"x", 5, "jobs.txt", "nowhere.jsonl"])
def test_what_holds_no_jobs_is_refused(jobs: Any) -> None:
    with pytest.raises(InvalidInputError, match="jobs"):
        Source(jobs, DEFAULTS)


def test_references_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"x")
    (tmp_path / "jobs.csv").write_text(
        'prompt,references\na,"[""cat.png"", ""https://x/y.png""]"\n'
    )
    assert jobs_of(tmp_path / "jobs.csv")[0].references == (tmp_path / "cat.png", "https://x/y.png")


def test_an_iterator_is_read_once_and_refused_where_it_is_wrong() -> None:
    source = Source(iter([{"prompt": "a"}, {}]), DEFAULTS)
    assert not source.again
    jobs = iter(source)
    assert next(jobs).prompt == "a"
    with pytest.raises(InvalidInputError, match="job 2: prompt is missing"):
        next(jobs)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["id", "prompt", "references", "options", "kind"]), _JSON))
def test_any_json_is_a_job_or_a_refusal(row: dict[str, Any]) -> None:
    try:
        (job,) = jobs_of([row])
    except InvalidInputError:
        return
    assert job.id
    assert jobs_of([row])[0].id == job.id


def test_metadata_of_a_csv_come_out_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(
        "prompt,metadata.sku,metadata.version,metadata.n,metadata.tags,options.guidance\n"
        'a cat,12E4,1.10,7,"[1, 2]",7.50\n'
        "a dog,007,NaN,true,{broken,2\n"
    )
    first, second = jobs_of(path)
    assert first.metadata == {"sku": "12E4", "version": "1.10", "n": 7, "tags": [1, 2]}
    assert first.options == {"guidance": 7.5}
    assert second.metadata == {"sku": "007", "version": "NaN", "n": True, "tags": "{broken"}


def test_what_spreadsheets_write_is_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("id,prompt\n1,a cat\n,\n\n2,a dog\n")
    assert [job.prompt for job in jobs_of(path)] == ["a cat", "a dog"]
    path.write_text("id;prompt\n1;a cat\n")
    with pytest.raises(InvalidInputError, match="separated by commas"):
        jobs_of(path)
