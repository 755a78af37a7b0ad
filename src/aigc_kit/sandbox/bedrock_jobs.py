"""
Bedrock's batch jobs: records of a bucket, run by Converse's rules into the same bucket.

Source: botocore 1.44.8, ``bedrock/2023-04-20``, and
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html, read 2026-11-26.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aigc_kit.sandbox.http import Answer, Request
from aigc_kit.sandbox.sigv4 import signature_of
from aigc_kit.sandbox.state import State

Run = Callable[[Request], Answer]

_JOBS = re.compile(r"/model-invocation-job(s|/(?P<arn>.+))?")
_RECORD = re.compile(r"[A-Za-z0-9]{11}")
_ROLE = re.compile(r"arn:aws[^:]*:iam::\d{12}:role/.+")


def handle(request: Request, state: State, run: Run) -> Answer | None:
    """The response of the control plane, or None for another path."""
    told = _JOBS.fullmatch(request.path)
    if told is None:
        return None
    signature = signature_of(request)
    if state.api_key and (signature is None or signature.access_key != state.api_key):
        return _error(
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    jobs = {arn: task for arn, task in state.tasks.items() if "jobArn" in task}
    if request.method == "POST":
        return _create(request.json(), state, jobs)
    if told["arn"] is None:
        wanted = request.query.get("nameContains", "")
        found = [_shown(job) for job in jobs.values() if wanted in job["jobName"]]
        return Answer(200, {"invocationJobSummaries": found})
    job = jobs.get(unquote(told["arn"]))
    if job is None:
        return _error(404, "ResourceNotFoundException", "The job does not exist.")
    _progress(job, state, run)
    return Answer(200, _shown(job))


def _create(body: dict[str, Any], state: State, jobs: dict[str, dict[str, Any]]) -> Answer:
    for arn, job in jobs.items():  # idempotent by its token
        if body.get("clientRequestToken") == job["clientRequestToken"]:
            return Answer(200, {"jobArn": arn})
    if not _ROLE.fullmatch(str(body.get("roleArn"))):
        return _error(400, "ValidationException", "The provided role is invalid.")
    source = body["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
    if _name(source) not in state.files:
        return _error(400, "ValidationException", f"Cannot read {source}.")
    arn = f"arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/{len(state.tasks) + 1:012d}"
    state.tasks[arn] = {
        **body,
        "jobArn": arn,
        "status": "Submitted",
        "submitTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "looks": state.batch_looks,
    }
    return Answer(200, {"jobArn": arn})


def _shown(job: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if name != "looks"}


def _progress(job: dict[str, Any], state: State, run: Run) -> None:
    """Run the job when it was looked at often enough."""
    if job["status"] not in ("Submitted", "InProgress"):
        return
    if job["looks"] > 0:
        job["looks"] -= 1
        job["status"] = "InProgress"
        return
    source = job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
    raw = state.files[_name(source)][0]
    records = [json.loads(line) for line in raw.splitlines() if line.strip()]
    if not all(_RECORD.fullmatch(str(each.get("recordId", ""))) for each in records):
        job |= {"status": "Failed", "message": "recordId must be 11 letters and digits"}
        return
    path = f"/model/{job['modelId']}/converse"
    headers = {"authorization": f"Bearer {state.api_key}"}
    out = []
    for record in reversed(records):
        body = json.dumps(record["modelInput"]).encode()
        answer = run(Request("POST", path, {}, headers, body))
        said = answer.body if isinstance(answer.body, dict) else json.loads(answer.body)
        held: dict[str, Any] = {"modelOutput": said}
        if answer.status != 200:
            held = {"error": {"errorCode": answer.status, "errorMessage": said.get("message")}}
        out.append({**record, **held})
    target = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].rstrip("/")
    name = f"{_name(target)}/{job['jobArn'].rpartition('/')[2]}/{source.rpartition('/')[2]}.out"
    lines = "".join(json.dumps(each) + "\n" for each in out)
    state.keep(name, lines.encode(), "application/jsonl", always=True)
    job["status"] = "Completed"


def _name(uri: str) -> str:
    return uri.replace("s3://", "s3/", 1)


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"message": message}, {"x-amzn-errortype": code})
