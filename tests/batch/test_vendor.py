"""The vendors' own batches: submitted, collected, and killed in between."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session

from aigc_kit import ChatClient
from aigc_kit.batch import Line, Summary, read_manifest, run_batch
from aigc_kit.batch.vendor import run as vendor_run
from aigc_kit.batch.vendor.gemini_form import GeminiForm
from aigc_kit.batch.vendor.ledger import Ledger
from aigc_kit.batch.vendor.services import OFFERS
from aigc_kit.errors import ConfigurationError, ProviderError, StorageError
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox.environment import BUCKET
from aigc_kit.storage import LocalStorage, R2Storage
from aigc_kit.transport.offline import request_of
from tests.images import make

OTHER = [{"id": "other", "kind": "chat", "provider": "openai", "prompt": "x"}]

_JOB = get_session().get_service_model("bedrock").operation_model("CreateModelInvocationJob")
newer_boto3 = pytest.mark.skipif(
    "modelInvocationType" not in _JOB.input_shape.members,
    reason="this boto3 knows no jobs of chats",
)
BEDROCK = pytest.param("bedrock", marks=newer_boto3)
CHATS = ["openai", "dashscope", "glm", "gemini", BEDROCK]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_run, "FIRST_POLL", 0.02)


def options(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    key = sandbox.api_key
    return {
        "openai": sandbox.chat_options("openai"),
        "dashscope": sandbox.chat_options("dashscope"),
        "glm": sandbox.chat_options("glm"),
        "gemini": {"api_key": key, "base_url": sandbox.url, "vertexai": False},
        "volcengine": sandbox.chat_options("volcengine"),
        "bedrock": {
            **sandbox.chat_options("bedrock"),
            "batch_role_arn": "arn:aws:iam::123456789012:role/batches",
            "batch_s3_uri": f"s3://{BUCKET}/some/where",
            "batch_endpoint_url": sandbox.url,
            "batch_s3_endpoint_url": f"{sandbox.url}/s3",
        },
    }


def run(sandbox: Sandbox, out: Path, rows: list[dict[str, Any]], **more: Any) -> Summary:
    return run_batch(
        rows, out, mode="vendor", client_options=options(sandbox), gallery=False, **more
    )


def lines(out: Path) -> dict[str, Line]:
    return {line.id: line for line in read_manifest(out)}


def creations(sandbox: Sandbox) -> int:
    return sum(
        request.method == "POST"
        and request.path.endswith(("/batches", ":batchGenerateContent", "/model-invocation-job"))
        for request in sandbox.requests
    )


def rows_of(kind: str, provider: str, count: int = 5) -> list[dict[str, Any]]:
    return [
        {"id": f"job-{n}", "kind": kind, "provider": provider, "prompt": f"thing {n}"}
        for n in range(count)
    ]


@pytest.mark.parametrize("provider", CHATS)
def test_chats(sandbox: Sandbox, tmp_path: Path, provider: str) -> None:
    """Each response goes to its own job, in whatever order they come; nothing is asked live."""
    summary = run(sandbox, tmp_path, rows_of("chat", provider))
    assert (summary.done, summary.failed, summary.unknown) == (5, 0, 0)
    for n in range(5):
        assert lines(tmp_path)[f"job-{n}"].metadata["content"] == f"You said: thing {n}"
    assert creations(sandbox) == 1
    assert not any("completions" in r.path or "generateContent" in r.path for r in sandbox.requests)


@pytest.mark.parametrize("provider", ["openai", "dashscope", "glm"])
def test_embeddings(sandbox: Sandbox, tmp_path: Path, provider: str) -> None:
    summary = run(sandbox, tmp_path, rows_of("embedding", provider))
    assert summary.done == 5
    vectors = (tmp_path / "vectors.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in vectors} == {f"job-{n}" for n in range(5)}


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_images_are_stored_as_live_ones_are(
    sandbox: Sandbox, tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With thumbnail, metadata and journal, at half the price; no file outside of ``out``."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    rows = [{**row, "size": "1024x1024"} for row in rows_of("image", provider, 3)]
    summary = run(sandbox, tmp_path, rows)
    assert summary.done == 3
    for line in lines(tmp_path).values():
        assert (tmp_path / str(line.file)).stat().st_size > 100
        assert (tmp_path / str(line.thumbnail)).is_file()
        assert line.metadata["batch"]["id"]
        assert line.cost is not None
        assert line.cost["tier"] == "batch"
    live = tmp_path / "live"
    run_batch(rows[:1], live, client_options=options(sandbox), gallery=False)
    full = lines(live)["job-0"].cost
    half = lines(tmp_path)["job-0"].cost
    assert full is not None
    assert half is not None
    assert half["amount"] == pytest.approx(full["amount"] / 2)
    assert not list(here.iterdir())


def test_a_job_fails_by_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = rows_of("chat", "openai", 3)
    rows[1]["prompt"] = "[blocked]"
    rows.append(
        {
            "id": "bad",
            "kind": "chat",
            "provider": "openai",
            "prompt": "x",
            "options": {"temperature": "hot"},
        }
    )
    summary = run(sandbox, tmp_path, rows)
    assert (summary.done, summary.failed) == (2, 2)
    blocked, bad = lines(tmp_path)["job-1"].error, lines(tmp_path)["bad"].error
    assert blocked is not None
    assert bad is not None
    assert blocked["type"] == "ContentFilterError"
    assert bad["type"] == "InvalidInputError"
    assert bad["billed"] == "no"


def test_batches_are_as_large_as_the_vendor_takes(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OFFERS["gemini"].most, "chat", 2)
    assert run(sandbox, tmp_path, rows_of("chat", "gemini", 5)).done == 5
    assert creations(sandbox) == 3


def test_without_waiting_it_collects_later(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.batch_looks = 2
    rows = rows_of("chat", "openai")
    first = run(sandbox, tmp_path, rows, wait=False)
    assert (first.done, first.not_run, first.ok) == (0, 5, False)
    assert "are at the vendor" in first.notes[0]
    second = run(sandbox, tmp_path, rows, wait=False, resume=True)
    assert second.done == 0
    third = run(sandbox, tmp_path, rows, wait=False, resume=True)
    assert (third.done, third.ok) == (5, True)
    assert creations(sandbox) == 1
    assert list((tmp_path / "vendor").iterdir()) == []
    assert run(sandbox, tmp_path, rows, resume=True).skipped == 5
    assert creations(sandbox) == 1


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("openai", "/batches"),
        ("gemini", ":batchGenerateContent"),
        pytest.param("bedrock", "/model-invocation-job", marks=newer_boto3),
    ],
)
def test_a_lost_response_does_not_make_a_second_batch(
    sandbox: Sandbox, tmp_path: Path, provider: str, path: str
) -> None:
    """The vendor's list tells that the batch is there."""
    sandbox.fail("reset", path=path)
    summary = run(sandbox, tmp_path, rows_of("chat", provider))
    assert summary.done == 5
    assert creations(sandbox) == 1


def test_a_batch_that_is_nowhere_is_unknown(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is made again only when that is said."""
    monkeypatch.setattr(vendor_run, "NOT_THERE_AFTER", 0.0)
    sandbox.answer(500, {"error": {"message": "oops"}}, path="/batches")
    rows = rows_of("chat", "openai", 2)
    summary = run(sandbox, tmp_path, rows)
    assert {line.error["billed"] for line in lines(tmp_path).values() if line.error} == {"unknown"}
    assert (summary.done, summary.unknown) == (0, 2)
    assert run(sandbox, tmp_path, rows, resume=True).unknown == 2
    assert creations(sandbox) == 1
    again = run(sandbox, tmp_path, rows, resume=True, retry_ambiguous=True)
    assert again.done == 2


def test_a_refused_batch_fails_its_jobs_for_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    refusal = {"error": {"message": "Billing hard limit", "code": "billing_hard_limit_reached"}}
    sandbox.answer(400, refusal, path="/batches")
    summary = run(sandbox, tmp_path, rows_of("chat", "openai", 2))
    assert summary.failed == 2
    assert {line.error["type"] for line in lines(tmp_path).values() if line.error} == {
        "QuotaExceededError"
    }
    assert run(sandbox, tmp_path, rows_of("chat", "openai", 2), resume=True).done == 2


def test_a_batch_that_fails_at_the_vendor_says_why(sandbox: Sandbox, tmp_path: Path) -> None:
    said = {"errors": {"data": [{"message": "the model is not available"}]}}
    rows = rows_of("chat", "openai", 2)
    run(sandbox, tmp_path, rows, wait=False)
    sandbox.answer(200, {"id": "batch_1", "status": "failed", **said}, path="/batches/")
    summary = run(sandbox, tmp_path, rows, resume=True)
    assert summary.failed == 2
    error = lines(tmp_path)["job-0"].error
    assert error is not None
    assert "the model is not available" in error["message"]
    assert error["billed"] == "no"


@pytest.mark.parametrize("step", range(12))
@pytest.mark.parametrize("provider", ["openai", "gemini", BEDROCK])
def test_killed_after_each_step(
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    step: int,
) -> None:
    """After any entry of the ledger: one batch, every job once."""

    class Killed(BaseException):
        pass

    put, left = Ledger.put, [step]

    def put_and_die(self: Ledger, *args: Any, **changes: Any) -> Any:
        made = put(self, *args, **changes)
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return made

    kind = "chat" if provider == "bedrock" else "image"
    rows = [{**row, "size": "1024x1024"} for row in rows_of(kind, provider, 2)]
    monkeypatch.setattr(Ledger, "put", put_and_die)
    try:
        run(sandbox, tmp_path, rows)
    except Killed:
        monkeypatch.setattr(Ledger, "put", put)
        monkeypatch.setattr(vendor_run, "NOT_THERE_AFTER", 0.0)
        summary = run(sandbox, tmp_path, rows, resume=True)
    else:
        summary = run(sandbox, tmp_path, rows, resume=True)
    found = list(lines(tmp_path).values())
    done = [line for line in found if line.status == "done"]
    if creations(sandbox) == 0:  # killed before the request left: the list is asked, and it is told
        assert summary.unknown == 2
        return
    assert creations(sandbox) == 1
    assert len(done) == 2


def test_jobs_that_are_gone_keep_their_results(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = rows_of("chat", "openai", 3)
    run(sandbox, tmp_path, rows, wait=False)
    summary = run(sandbox, tmp_path, rows[:2], resume=True)
    assert summary.done == 2
    assert "1 jobs of earlier batches are not among these" in summary.notes[0]
    assert run(sandbox, tmp_path, rows, resume=True).done == 3
    other = tmp_path / "other"
    run(sandbox, other, rows, wait=False)
    with pytest.raises(ConfigurationError, match="none of the jobs"):
        run(sandbox, other, rows_of("chat", "glm", 1)[:0], resume=True)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (rows_of("image", "volcengine"), "Ark has no batches of images"),
        (rows_of("chat", "volcengine"), "take the id of a batch endpoint"),
        (rows_of("chat", "volcengine", 1) + OTHER, "without other vendors"),
        (rows_of("image", "dashscope"), "there are bedrock, dashscope, gemini, glm, openai"),
        (rows_of("embedding", "gemini"), "no batches for kind 'embedding'"),
    ],
)
def test_vendors_without_batches_are_refused_before_anything(
    sandbox: Sandbox, tmp_path: Path, rows: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        run(sandbox, tmp_path, rows)
    assert sandbox.requests == []


@pytest.mark.parametrize("kind", ["chat", "embedding"])
def test_ark_waits_for_each_response(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    """On its batch endpoint; a lost response is asked for again, and a refused job can be resumed."""
    rows = [{**row, "model": "ep-bi-20261126-abc"} for row in rows_of(kind, "volcengine")]
    sandbox.answer(400, {"error": {"code": "InvalidParameter", "message": "no"}}, path="/batch/")
    summary = run(sandbox, tmp_path, rows, concurrency=1)
    assert (summary.done, summary.failed, summary.unknown) == (4, 1, 0)
    sandbox.fail("close", path="/batch/")
    again = run(sandbox, tmp_path, rows, resume=True)
    assert (again.done, again.skipped) == (5, 4)
    ends = {"chat": "/chat/completions", "embedding": "/embeddings/multimodal"}
    assert {request.path for request in sandbox.requests} == {f"/api/v3/batch{ends[kind]}"}
    assert len(sandbox.requests) == 7


@newer_boto3
def test_bedrock_reads_large_results_in_ranges(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of its own records, of which one was refused, under ids of any kind."""
    monkeypatch.setattr("aigc_kit.transport.bedrock_jobs.PIECE", 100)
    rows = [{**row, "id": f"产品 {n}/x"} for n, row in enumerate(rows_of("chat", "bedrock", 4))]
    rows[1]["prompt"] = "[blocked]"
    summary = run(sandbox, tmp_path, rows)
    assert (summary.done, summary.failed) == (3, 1)
    found = lines(tmp_path)
    assert found["产品 3/x"].metadata["content"] == "You said: thing 3"
    error = found["产品 1/x"].error
    assert error is not None
    assert error["type"] == "ContentFilterError"
    assert found["产品 0/x"].cost is not None


@newer_boto3
def test_a_record_that_bedrock_refuses_fails_by_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = rows_of("chat", "bedrock", 2)
    rows[0]["options"] = {"extra_body": {"inferenceConfig": {"temperature": 7}}}
    assert (run(sandbox, tmp_path, rows).done, lines(tmp_path)["job-0"].status) == (1, "failed")
    error = lines(tmp_path)["job-0"].error
    assert error is not None
    assert error["type"] == "BadRequestError"
    assert "must be at most 1" in error["message"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"batch_role_arn": None}, "BEDROCK_BATCH_ROLE_ARN"),
        ({"batch_role_arn": "admin"}, "got 'admin'"),
        ({"batch_s3_uri": "https://bucket"}, "batch_s3_uri"),
        (
            {"api_key": "k", "aws_access_key_id": None, "aws_secret_access_key": None},
            "takes no Bedrock API key",
        ),
    ],
)
def test_bedrock_says_what_is_missing(
    sandbox: Sandbox, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    given = {"bedrock": {**options(sandbox)["bedrock"], **changed}}
    rows = rows_of("chat", "bedrock", 2)
    summary = run_batch(rows, tmp_path, mode="vendor", client_options=given, gallery=False)
    assert summary.failed == 2
    for line in lines(tmp_path).values():
        assert line.error is not None
        assert says in line.error["message"]
    assert sandbox.requests == []


def test_ark_cannot_be_left_waiting(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [{**row, "model": "ep-bi-1"} for row in rows_of("chat", "volcengine")]
    with pytest.raises(ConfigurationError, match="wait=False"):
        run(sandbox, tmp_path, rows, wait=False)


def test_jobs_of_an_iterator_are_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reads the jobs again"):
        run(sandbox, tmp_path, iter(rows_of("chat", "openai")))  # type: ignore[arg-type]


def test_a_revoked_key_loses_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """The batch waits for a key that works."""
    rows = rows_of("chat", "openai", 2)
    run(sandbox, tmp_path, rows, wait=False)
    sandbox.answer(401, {"error": {"message": "no", "code": "invalid_api_key"}}, path="/batches/")
    with pytest.raises(ProviderError):
        run(sandbox, tmp_path, rows, resume=True)
    assert run(sandbox, tmp_path, rows, resume=True).done == 2
    assert creations(sandbox) == 1


def test_references_go_as_files_only_live(sandbox: Sandbox, tmp_path: Path) -> None:
    """OpenAI edits are forms, which a batch does not take: that job fails for nothing."""
    (tmp_path / "cat.png").write_bytes(make("PNG", (256, 256)))
    rows = [
        {
            "id": "e",
            "provider": "openai",
            "prompt": "x",
            "references": str(tmp_path / "cat.png"),
            "size": "1024x1024",
        }
    ]
    summary = run(sandbox, tmp_path / "run", rows)
    assert summary.failed == 1
    error = lines(tmp_path / "run")["e"].error
    assert error is not None
    assert "run it with mode='live'" in error["message"]


def test_a_live_run_does_not_buy_what_is_at_the_vendor(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.batch_looks = 1
    rows = rows_of("chat", "openai", 2)
    first = run(sandbox, tmp_path, rows, wait=False)
    assert (first.not_run, first.at_vendor) == (2, 2)
    given = {name: each for name, each in options(sandbox).items() if name == "openai"}
    sent = len(sandbox.requests)
    with pytest.raises(ConfigurationError, match="mode='vendor'"):
        run_batch(rows, tmp_path, client_options=given, resume=True, gallery=False)
    assert len(sandbox.requests) == sent
    assert run(sandbox, tmp_path, rows, resume=True).done == 2
    again = run_batch(rows, tmp_path, client_options=given, resume=True, gallery=False)
    assert (again.done, again.skipped) == (2, 2)


def test_an_older_boto3_is_told(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(self: Any) -> None:
        raise ConfigurationError("bedrock's batches of chats need a newer boto3")

    monkeypatch.setattr("aigc_kit.transport.bedrock_jobs.BedrockJobs.check", older)
    summary = run(sandbox, tmp_path, rows_of("chat", "bedrock", 2))
    assert (summary.done, creations(sandbox)) == (0, 0)
    said = [line.error["message"] for line in lines(tmp_path).values() if line.error]
    assert [each for each in said if "newer boto3" in each] == said


# ---- what is paid for is not thrown away


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_images_go_to_a_store_over_the_network(
    sandbox: Sandbox, tmp_path: Path, provider: str
) -> None:
    """The response stands in for the vendor alone, not for the store."""
    rows = [{**row, "size": "1024x1024"} for row in rows_of("image", provider, 2)]
    with R2Storage(**sandbox.storage_options()) as store:
        assert run(sandbox, tmp_path, rows, storage=store).done == 2
        assert all(store.exists(line.storage_key) for line in lines(tmp_path).values())
    assert creations(sandbox) == 1


def linked(sandbox: Sandbox, data: bytes) -> str:
    with R2Storage(**sandbox.storage_options()) as store:
        store.upload_bytes(data, "cat.png", content_type="image/png")
    return f"{sandbox.url}/public/{BUCKET}/cat.png"


def test_references_behind_links_are_fetched_before(sandbox: Sandbox, tmp_path: Path) -> None:
    link = linked(sandbox, make("PNG", (256, 256)))
    row = {"id": "e", "provider": "gemini", "prompt": "x", "references": link}
    here = {"gemini": {**options(sandbox)["gemini"], "allow_private_hosts": True}}
    summary = run_batch([row], tmp_path, mode="vendor", client_options=here, gallery=False)
    assert summary.done == 1
    assert creations(sandbox) == 1


def test_results_that_are_links_are_downloaded(sandbox: Sandbox, tmp_path: Path) -> None:
    link = linked(sandbox, make("PNG", (1024, 1024)))
    rows = [{**row, "size": "1024x1024"} for row in rows_of("image", "openai", 1)]
    body = {"created": 1, "data": [{"url": link}]}
    said = {"custom_id": "job-0", "response": {"status_code": 200, "body": body}}
    sandbox.answer(200, json.dumps(said).encode(), path="/content")
    assert run(sandbox, tmp_path, rows).done == 1
    assert Path(tmp_path, str(lines(tmp_path)["job-0"].file)).is_file()


class Weak(LocalStorage):
    """A store that is down at the step ``down``."""

    down = ""

    def exists(self, key: str) -> Any:
        if self.down == "exists":
            raise StorageError("503 SlowDown", retryable=True)
        return super().exists(key)

    def upload_described(self, data: Any, key: str, **described: Any) -> Any:
        if self.down == "upload":
            raise StorageError("the disk is full")
        return super().upload_described(data, key, **described)


@pytest.mark.parametrize("down", ["exists", "upload", "journal"])
@pytest.mark.parametrize("again", [{}, {"retry_ambiguous": True}])
def test_results_stay_until_every_image_is_stored(
    sandbox: Sandbox, tmp_path: Path, down: str, again: dict[str, Any]
) -> None:
    """What fails on this machine costs no second batch."""
    rows = [{**row, "size": "1024x1024"} for row in rows_of("image", "openai", 2)]
    store, journal = Weak(tmp_path / "store"), tmp_path / "journal"
    given = {"storage": store, "spool_dir": journal}
    run(sandbox, tmp_path / "run", rows, wait=False, **given)
    store.down = down
    if down == "journal":
        shutil.rmtree(journal, ignore_errors=True)
        journal.write_text("not a directory")
    summary = run(sandbox, tmp_path / "run", rows, resume=True, **given)
    assert (summary.done, summary.failed) == (0, 2)
    assert "without a second payment" in summary.notes[0]
    assert {line.billed for line in lines(tmp_path / "run").values()} == {"yes"}
    store.down = ""
    if down == "journal":
        journal.unlink()
    assert run(sandbox, tmp_path / "run", rows, resume=True, **again, **given).done == 2
    assert creations(sandbox) == 1
    assert not list((tmp_path / "run" / "vendor").iterdir())


def test_an_exception_of_the_application_loses_no_results(sandbox: Sandbox, tmp_path: Path) -> None:
    """Here from a function that gives the key, while the results are read."""
    is_broken = [False]

    def key() -> str:
        if is_broken[0] and threading.current_thread().name.startswith("aigc-batch"):
            raise RuntimeError("the vault is sealed")
        return sandbox.api_key

    given = options(sandbox)
    given["openai"] = {**given["openai"], "api_key": key}
    rows = rows_of("chat", "openai", 2)
    for broken, done in ((True, 0), (False, 2)):
        is_broken[0] = broken
        summary = run_batch(
            rows, tmp_path, mode="vendor", client_options=given, gallery=False, resume=not broken
        )
        assert summary.done == done
    assert creations(sandbox) == 1


def test_what_a_live_run_paid_for_is_not_given_to_a_batch(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [{**row, "size": "1024x1024"} for row in rows_of("image", "openai", 2)]
    store = Weak(tmp_path / "store")
    store.down = "upload"
    given = {"storage": store, "client_options": options(sandbox), "gallery": False}
    assert run_batch(rows, tmp_path / "run", **given).paid_waiting == 2
    store.down = ""
    summary = run(sandbox, tmp_path / "run", rows, resume=True, retry_ambiguous=True, storage=store)
    assert summary.done == 2
    assert creations(sandbox) == 0


# ---- batches that cannot be fetched


def test_a_batch_that_is_gone_does_not_hold_up_the_others(sandbox: Sandbox, tmp_path: Path) -> None:
    """It is told as unknown, collected if it comes back, and made again only when that is said."""
    rows = rows_of("chat", "openai", 3)
    sandbox.batch_looks = 2
    run(sandbox, tmp_path, rows[:1], wait=False)
    run(sandbox, tmp_path, rows, resume=True, wait=False)
    assert creations(sandbox) == 2
    gone = {"error": {"message": "No batch found", "code": "not_found"}}
    sandbox.answer(404, gone, path="/batches/")
    summary = run(sandbox, tmp_path, rows, resume=True)
    assert (summary.done, summary.unknown) == (2, 1)
    error = lines(tmp_path)["job-0"].error
    assert error is not None
    assert "base URL" in error["message"]
    assert (error["type"], error["billed"]) == ("OutcomeUnknownError", "unknown")
    sandbox.answer(404, gone, path="/batches/")
    assert run(sandbox, tmp_path, rows, resume=True, retry_ambiguous=True).done == 3
    assert creations(sandbox) == 3


def test_a_batch_that_comes_back_is_collected(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = rows_of("chat", "openai", 2)
    run(sandbox, tmp_path, rows, wait=False)
    sandbox.answer(404, {"error": {"message": "No such File"}}, path="/content")
    assert run(sandbox, tmp_path, rows, resume=True).unknown == 2
    assert run(sandbox, tmp_path, rows, resume=True).done == 2
    assert creations(sandbox) == 1


def test_a_cut_file_of_results_is_fetched_again(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fail("cut body", at=50, path="/content")
    assert run(sandbox, tmp_path, rows_of("chat", "openai", 2)).done == 2


def test_a_list_that_fails_is_asked_for_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """The response with the batch's id is lost, and then the list of batches."""
    sandbox.fail("reset", path="/batches", times=2)
    assert run(sandbox, tmp_path, rows_of("chat", "openai", 2)).done == 2
    assert creations(sandbox) == 1


@pytest.mark.parametrize(
    ("code", "status"), [(3, 400), (7, 403), (8, 429), (13, 500), (14, 503), (99, 500), (400, 400)]
)
def test_geminis_lines_have_codes_of_grpc(sandbox: Sandbox, code: int, status: int) -> None:
    with ChatClient("gemini", **options(sandbox)["gemini"]) as chat:
        form = GeminiForm(
            "gemini", request_of(lambda: chat.chat([{"role": "user", "content": "x"}]))
        )
    told = form.answer({"key": "a", "error": {"code": code, "message": "no"}})
    assert told is not None
    assert told.status == status
    form.close()
