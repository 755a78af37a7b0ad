"""
Batches of Bedrock: a file of records in your own bucket, run by a role of your own account.

Records are those of Converse. Source: botocore 1.44.8, ``bedrock/2023-04-20``, and
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html, read 2026-11-26.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from aigc_kit import settings
from aigc_kit.batch.vendor.service import SECONDS, Answered, Look, Service, text_of, upload_seconds
from aigc_kit.errors import ConfigurationError, InvalidInputError, InvalidReplyError
from aigc_kit.transport.bedrock_jobs import BedrockJobs
from aigc_kit.transport.bedrock_sdk import opened_with
from aigc_kit.transport.deadline import Deadline
from aigc_kit.transport.offline import Taken

_MODEL = re.compile(r"/model/(?P<model>.+)/converse")
_PLACE = re.compile(r"s3://(?P<bucket>[a-z0-9][-.a-z0-9]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")
_ROLE = re.compile(r"arn:aws[^:]*:iam::\d{12}:role/.+")
_RUNNING = frozenset({"Submitted", "InProgress", "Validating", "Scheduled", "Stopping"})
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OF_ACCOUNT = (
    "region",
    "profile",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
)


class BedrockForm(Service):
    """One model's jobs."""

    def __init__(self, provider: str, taken: Taken, options: Mapping[str, Any]) -> None:
        """
        Args:
            options: the account of ``ChatClient("bedrock")``, ``batch_role_arn``, ``batch_s3_uri``,
                and for other hosts than AWS' ``batch_endpoint_url``, ``batch_s3_endpoint_url``.

        Raises:
            ConfigurationError: a role, a bucket or the keys of AWS are missing.
        """
        super().__init__(provider)
        self._model = self._model_of(taken)
        self._role = _named(
            options, "batch_role_arn", "arn:aws:iam::123456789012:role/batches", _ROLE
        )[0]
        place = _named(options, "batch_s3_uri", "s3://bucket/batches", _PLACE)
        self._bucket, self._prefix = place["bucket"], (place["prefix"] or "").strip("/")
        account = {name: options.get(name) for name in _OF_ACCOUNT}
        found = opened_with(api_key=options.get("api_key"), base_url=None, **account).signs
        if found is None:
            raise ConfigurationError(
                "bedrock's batches read and write S3, which takes no Bedrock API key: pass aws_access_key_id and"
                " aws_secret_access_key, or profile"
            )
        self._jobs = BedrockJobs(
            found,
            self._bucket,
            endpoint_url=str(options.get("batch_endpoint_url") or ""),
            s3_endpoint_url=str(options.get("batch_s3_endpoint_url") or ""),
        )

    def _model_of(self, taken: Taken) -> str:
        path = urlsplit(taken.url).path
        told = _MODEL.search(path)
        if told is None:
            raise InvalidInputError(
                f"bedrock's batches take chats, and this job goes to {path!r}: run it with mode='live'"
            )
        return unquote(told["model"])

    def name(self, job: str) -> str:
        """Eleven letters and digits: what AWS takes as the id of a record."""
        rest = int.from_bytes(sha256(job.encode("utf-8", "surrogatepass")).digest())
        digits = []
        for _ in range(11):
            rest, digit = divmod(rest, len(_DIGITS))
            digits.append(_DIGITS[digit])
        return "".join(digits)

    def line(self, name: str, taken: Taken) -> dict[str, Any]:
        self._model_of(taken)
        return {"recordId": self.name(name), "modelInput": json.loads(taken.body)}

    def upload(self, path: Path) -> str:
        self._jobs.check()
        data = path.read_bytes()
        key = self._key(path.name)
        self._jobs.put(key, data, Deadline.after(upload_seconds(len(data))))
        return f"s3://{self._bucket}/{key}"

    def create(self, file: str, key: str) -> str:
        request = {
            "jobName": key,
            "clientRequestToken": key,  # asked for twice, it is the same job
            "roleArn": self._role,
            "modelId": self._model,
            "modelInvocationType": "Converse",
            "inputDataConfig": {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": file}},
            "outputDataConfig": {
                "s3OutputDataConfig": {"s3Uri": f"s3://{self._bucket}/{self._key('')}"}
            },
        }
        made = self._jobs.create(request, Deadline.after(SECONDS))
        if not made:
            raise InvalidReplyError("bedrock made a job without an ARN", provider=self.provider)
        return made

    def find(self, file: str, key: str) -> str:
        return self._jobs.find(key, Deadline.after(SECONDS))

    def look(self, batch: str) -> Look:
        found = self._jobs.look(batch, Deadline.after(SECONDS))
        status = str(found.get("status"))
        if status in _RUNNING:
            return Look(ended=False)
        prefix = self._key(f"{batch.rpartition('/')[2]}/")
        keys = self._jobs.keys(prefix, Deadline.after(SECONDS))
        files = tuple(key for key in keys if key.endswith(".jsonl.out"))
        said = str(found.get("message") or "")
        if status != "Completed" or not files:
            said = said or f"the job is {status.lower()}"
        return Look(True, files, "" if status == "Completed" and files else said)

    def content(self, file: str) -> Iterator[bytes]:
        return self._jobs.pieces(file, SECONDS)

    def answer(self, line: Mapping[str, Any]) -> Answered | None:
        name = line.get("recordId")
        if not isinstance(name, str):
            return None
        if isinstance(line.get("modelOutput"), dict):
            return Answered(name, 200, text_of(line["modelOutput"]))
        error = line.get("error")
        held = error if isinstance(error, dict) else {}
        code = held.get("errorCode")
        status = code if isinstance(code, int) and 400 <= code < 600 else 400
        said = str(held.get("errorMessage") or "the record was not run")
        return Answered(name, status, text_of({"message": said}))

    def close(self) -> None:
        self._jobs.close()

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name


def _named(
    options: Mapping[str, Any], name: str, example: str, form: re.Pattern[str]
) -> re.Match[str]:
    """
    The option, or its variable: ``batch_s3_uri`` is ``BEDROCK_BATCH_S3_URI``.

    Raises:
        ConfigurationError: it is missing or has another form.
    """
    variable = f"BEDROCK_{name.upper()}"
    found = settings.option(options.get(name), variable)
    told = form.fullmatch(found) if isinstance(found, str) else None
    if told is None:
        said = f"got {settings.spelled(found)}" if found else "it is missing"
        raise ConfigurationError(
            f"bedrock's batches need {name}, such as {example!r}: {said}; pass it in client_options or set {variable}"
        )
    return told
