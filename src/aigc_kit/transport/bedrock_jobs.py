"""
Bedrock's batch jobs: the control plane that runs them, and the bucket that they read and write.

Source: botocore 1.44.8, ``bedrock/2023-04-20``, and
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html, read 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from aigc_kit.errors import AIGCError, ConfigurationError
from aigc_kit.transport.aws import (
    AwsClient,
    AwsError,
    AwsSettings,
    aws_error,
    failures,
    make_client,
    s3_client,
)
from aigc_kit.transport.bedrock_failures import judge, translated
from aigc_kit.transport.bedrock_sdk import whole_body
from aigc_kit.transport.deadline import Deadline, deadline_of
from aigc_kit.transport.failures import RequestContext
from aigc_kit.transport.handle import Handle

PIECE = 8 * 1024 * 1024
"""Bytes of one ranged read: a response of botocore is read up to 16 MB."""

_PAGES = 20


class BedrockJobs:
    """One account's jobs and one bucket. Clients are made at the first call; ``close`` it."""

    def __init__(
        self, found: AwsSettings, bucket: str, *, endpoint_url: str, s3_endpoint_url: str
    ) -> None:
        """
        Args:
            endpoint_url, s3_endpoint_url: of the control plane and of S3; "": AWS' own.
        """
        self._found = found
        self._bucket = bucket
        control = replace(found, endpoint_url=endpoint_url or None)
        store = replace(found, endpoint_url=s3_endpoint_url or None)
        self._control = Handle(lambda: make_client("bedrock", control), AwsClient.close)
        self._store = Handle(lambda: s3_client(store), AwsClient.close)

    def create(self, request: dict[str, Any], deadline: Deadline) -> str:
        """
        The ARN of a new job; the same ``clientRequestToken`` gives the same job again.

        Raises:
            AIGCError: it failed; ``billed`` says whether there may be one all the same.
        """
        made = self._call(
            self._control, "create_model_invocation_job", request, deadline, paid=True
        )
        return str(made.get("jobArn") or "")

    def check(self) -> None:
        """
        Raises:
            ConfigurationError: the installed boto3 knows no jobs of chats yet.
        """
        model = self._control.get().client.meta.service_model
        members = model.operation_model("CreateModelInvocationJob").input_shape.members
        if "modelInvocationType" not in members:
            raise ConfigurationError(
                "bedrock's batches of chats need a newer boto3: upgrade boto3 and botocore"
            )

    def find(self, name: str, deadline: Deadline) -> str:
        """The ARN of the job of this name, "" where there is none."""
        request: dict[str, Any] = {"nameContains": name, "maxResults": 100}
        for _ in range(_PAGES):
            page = self._call(self._control, "list_model_invocation_jobs", request, deadline)
            for job in page.get("invocationJobSummaries") or ():
                if job.get("jobName") == name:
                    return str(job.get("jobArn") or "")
            if not page.get("nextToken"):
                break
            request["nextToken"] = page["nextToken"]
        return ""

    def look(self, arn: str, deadline: Deadline) -> dict[str, Any]:
        """The job as AWS describes it."""
        found: dict[str, Any] = self._call(
            self._control, "get_model_invocation_job", {"jobIdentifier": arn}, deadline
        )
        return found

    def put(self, key: str, data: bytes, deadline: Deadline) -> None:
        """Store an object."""
        request = {"Bucket": self._bucket, "Key": key, "Body": data}
        self._call(self._store, "put_object", request, deadline)

    def keys(self, prefix: str, deadline: Deadline) -> list[str]:
        """All keys that begin so."""
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        found: list[str] = []
        while True:
            page = self._call(self._store, "list_objects_v2", request, deadline)
            found += [str(each["Key"]) for each in page.get("Contents") or ()]
            if not page.get("NextContinuationToken"):
                return found
            request["ContinuationToken"] = page["NextContinuationToken"]

    def pieces(self, key: str, seconds: float) -> Iterator[bytes]:
        """An object in ranges, each within so many seconds."""
        where = {"Bucket": self._bucket, "Key": key}
        head = self._call(self._store, "head_object", where, Deadline.after(seconds))
        size = int(head.get("ContentLength") or 0)
        for start in range(0, size, PIECE):
            last = min(start + PIECE, size) - 1
            deadline = Deadline.after(seconds)
            request = {**where, "Range": f"bytes={start}-{last}"}
            response = self._call(self._store, "get_object", request, deadline)
            with (
                self._translating(deadline),
                deadline_of(deadline),
                closing(response["Body"]) as source,
            ):
                piece = whole_body(source)
            yield piece
            if not response.get("ContentRange"):  # a store without ranges sent all of it
                return

    def close(self) -> None:
        self._control.close()
        self._store.close()

    def _call(
        self,
        client: Handle[AwsClient],
        operation: str,
        request: dict[str, Any],
        deadline: Deadline,
        *,
        paid: bool = False,
    ) -> Any:
        with self._translating(deadline, paid=paid):
            return client.get().call(operation, request, deadline)

    @contextmanager
    def _translating(self, deadline: Deadline, *, paid: bool = False) -> Iterator[None]:
        """What boto3 raises, as errors of this library."""
        keys = (self._found.access_key_id, self._found.secret_access_key, self._found.session_token)
        secrets = tuple(key for key in keys if key is not None)
        context = RequestContext("bedrock", paid=paid, judge=judge, secrets=secrets)
        try:
            yield
            return
        except AwsError as error:
            found = error
        except failures() as error:
            found = aws_error(error)
        failure: AIGCError = translated(found, context, deadline, current_models="")
        raise failure from context.without_secrets(found)
