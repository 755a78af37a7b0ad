"""Several vendors in a row: who is asked after whom, and what the result tells of it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageClient, errors
from aigc_kit.image.gemini.provider import GeminiImageProvider
from aigc_kit.image.volcengine.provider import VolcengineProvider
from aigc_kit.sandbox import Sandbox, bfl
from aigc_kit.storage import LocalStorage
from tests.images import make
from tests.waits import within
from tests.wire import AMPLE

ARK, GEMINI = "images/generations", "generateContent"


@pytest.fixture
def client(sandbox: Sandbox, tmp_path: Path) -> Iterator[ImageClient]:
    with ImageClient(
        ["gemini", "volcengine"],
        storage=LocalStorage(tmp_path),
        keep_urls=True,
        timeout=AMPLE,
        max_retries=0,
        gemini=sandbox.image_options("gemini"),
        doubao=sandbox.image_options("volcengine"),
    ) as made:
        yield made


def asked(sandbox: Sandbox) -> list[str]:
    return ["ark" if ARK in r.path else "gemini" for r in sandbox.requests if r.method == "POST"]


def test_the_first_that_delivers_is_enough(client: ImageClient, sandbox: Sandbox) -> None:
    """Nobody else is asked."""
    result = client.text_to_image("a cat")
    assert (result.provider, asked(sandbox)) == ("gemini", ["gemini"])
    assert [attempt["outcome"] for attempt in result.metadata["attempts"]] == ["ok"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429])
def test_an_unbilled_failure_moves_on(client: ImageClient, sandbox: Sandbox, status: int) -> None:
    """The next vendor gets the size and the reference in its own terms; the attempts are told."""
    sandbox.answer(status, {"error": {"message": "no"}}, path=GEMINI)
    result = client.image_to_image("a cat", reference_images=make(), size="1024x1024")
    assert (result.provider, asked(sandbox)) == ("volcengine", ["gemini", "ark"])
    first, second = result.metadata["attempts"]
    assert (first["provider"], first["requests"], first["billed"], first["status_code"]) == (
        "gemini",
        1,
        "no",
        status,
    )
    assert (second["provider"], second["outcome"]) == ("volcengine", "ok")
    assert result.metadata["sent_size"] == "2048x2048"
    assert any(entry["feature"] == "fallback" for entry in result.metadata["warnings"])
    assert sandbox.requests[1].body["image"].startswith("data:image/png;base64,")
    json.dumps(result.metadata)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 200])
def test_a_failure_that_may_have_been_billed_ends_it(
    client: ImageClient, sandbox: Sandbox, status: int
) -> None:
    """No second vendor is paid while the first may have been."""
    sandbox.answer(status, b"<html>", path=GEMINI)
    with pytest.raises(errors.ProviderError) as caught:
        client.text_to_image("a cat")
    assert caught.value.billed == "unknown"
    assert [attempt["provider"] for attempt in caught.value.attempts] == ["gemini"]
    assert asked(sandbox) == ["gemini"]


def test_when_all_fail_the_last_error_comes_out(client: ImageClient, sandbox: Sandbox) -> None:
    """With everything that was tried."""
    sandbox.answer(429, {}, path=GEMINI)
    sandbox.answer(401, {}, path=ARK)
    with pytest.raises(errors.AuthenticationError) as caught:
        client.text_to_image("a cat")
    assert caught.value.provider == "volcengine"
    assert [attempt["outcome"] for attempt in caught.value.attempts] == [
        "RateLimitError",
        "AuthenticationError",
    ]


def test_what_the_first_cannot_do_goes_to_the_next(client: ImageClient, sandbox: Sandbox) -> None:
    """A size that the first refuses before anything is sent."""
    result = client.text_to_image("a cat", size="2048x2050", size_policy="exact")
    assert (result.provider, asked(sandbox)) == ("volcengine", ["ark"])
    assert result.metadata["attempts"][0]["requests"] == 0


def test_groups(client: ImageClient, sandbox: Sandbox) -> None:
    """One by one on the first; each moves on by itself."""
    sandbox.answer(429, {}, path=GEMINI)
    group = client.text_to_images("seasons", n=2, size="2K")
    assert [image.provider for image in group] == ["volcengine", "gemini"]


def test_a_native_group_moves_on_whole(sandbox: Sandbox) -> None:
    """The first makes groups, the second does not: it is asked picture by picture."""
    options = {
        "volcengine": sandbox.image_options("volcengine"),
        "gemini": sandbox.image_options("gemini"),
    }
    with ImageClient(["volcengine", "gemini"], max_retries=0, **options) as client:
        assert len(client.text_to_images("seasons", n=3, size="2K")) == 3
        sandbox.answer(429, {}, path=ARK, times=4)
        group = client.text_to_images("seasons", n=3, size="2K")
    assert [image.provider for image in group] == ["gemini"] * 3
    assert group.errors == []


def test_instances_and_pairs(sandbox: Sandbox) -> None:
    """A list may hold whatever a single provider may be; instances stay open."""
    gemini = GeminiImageProvider(**sandbox.image_options("gemini"))
    with ImageClient([gemini, ("ark", sandbox.image_options("volcengine"))]) as client:
        assert client.text_to_image("a cat").provider == "gemini"
    assert gemini.text_to_image("a cat").provider == "gemini"
    gemini.close()


def test_options_of_a_call(client: ImageClient, sandbox: Sandbox) -> None:
    """Common ones go to all, those under a name to that vendor alone."""
    sandbox.answer(429, {}, path=GEMINI)
    result = client.text_to_image("a cat", gemini={"temperature": 0.5}, ark={"watermark": True})
    assert result.provider == "volcengine"
    first, second = (request.body for request in sandbox.requests if request.method == "POST")
    assert first["generationConfig"]["temperature"] == 0.5
    assert (second["watermark"], "temperature" in second) == (True, False)
    for bad in ({"model": "m"}, {"ark": 5}):
        with pytest.raises(errors.ConfigurationError):
            client.text_to_image("a cat", **bad)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"model": "m"}, "model"),
        ({"api_key": "k"}, "api_key"),
        ({"nonsense": 1}, "nonsense"),
        ({"gemini": 5}, "gemini"),
    ],
)
def test_ambiguous_options_are_refused(options: dict[str, Any], match: str) -> None:
    """When the client is made, saying how to mean it."""
    with pytest.raises(errors.ConfigurationError, match=match):
        ImageClient(["gemini", "volcengine"], **options)


@pytest.mark.parametrize("bad", [[], [5], ["nobody"], [("gemini",)]])
def test_bad_lists_are_refused(bad: Any) -> None:
    """Empty, of the wrong things, of unknown names."""
    with pytest.raises(errors.ConfigurationError):
        ImageClient(bad, gemini={"api_key": "k"})


def test_options_that_one_vendor_knows_find_it(sandbox: Sandbox) -> None:
    """``project`` is Gemini's, ``watermark`` Seedream's; the client survives pickling."""
    made = ImageClient(
        ["gemini", "volcengine"],
        project="p",
        credentials=sandbox.image_options("gemini")["credentials"],
        watermark=True,
        volcengine={"api_key": "k"},
    )
    with made, pickle.loads(pickle.dumps(made)) as copy:
        for client in (made, copy):
            assert isinstance(client.provider.providers[1], VolcengineProvider)
            assert client.provider.providers[1].watermark is True
            assert client.provider.providers[0]._settings.project == "p"


def test_a_deadline_is_for_all_of_them(client: ImageClient, sandbox: Sandbox) -> None:
    """What the first spent is not there for the second."""
    sandbox.answer(429, {}, path=GEMINI)
    client.text_to_image("warm")
    sandbox.answer(429, {}, path=GEMINI, delay=0.5)
    sandbox.answer(200, {}, path=ARK, delay=3600)
    with within(3.0) as waits, pytest.raises(errors.OutcomeUnknownError):
        client.text_to_image("a cat", timeout=3.0)
    assert waits.timeouts[-1] <= 3.0 - 0.5


VENDORS = [
    "volcengine",
    "gemini",
    "dashscope",
    "bfl",
    "openai",
    "openai_compat",
    "glm",
    "siliconflow",
    "openrouter",
    "xai",
]
WITHOUT_REFERENCES = {"glm"}


@pytest.mark.parametrize("second", VENDORS)
@pytest.mark.parametrize("references", [False, True])
def test_every_vendor_takes_over_from_every_other(
    sandbox: Sandbox,
    tmp_path: Path,
    second: str,
    references: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the size and the reference in its own terms, stored, once each, and for one payment."""
    monkeypatch.setattr(bfl, "LOOKS", 0)
    given: dict[str, Any] = {"size": "16:9"}
    if references:
        given["reference_images"] = make("PNG", (400, 400))
    for first in VENDORS:
        if first == second:
            continue
        own = {name: sandbox.image_options(name) for name in (first, second)}
        refusing = {**own[first]}
        if first == "gemini":
            refusing = {"api_key": "wrong-key", "base_url": sandbox.url, "vertexai": False}
        else:
            refusing["api_key"] = "wrong-key"
        if first == "openai_compat":  # a relay without a key
            sandbox.answer(401, {"error": {"message": "no"}}, path="/local/v1/images")
        with ImageClient(
            [(first, refusing), (second, own[second])],
            storage=LocalStorage(tmp_path / first),
            keep_urls=True,
            allow_private_hosts=True,
        ) as images:
            call = images.image_to_image if references else images.text_to_image
            if references and second in WITHOUT_REFERENCES:
                with pytest.raises(errors.AIGCError):
                    call("a cat", **given)
                continue
            result = call("a cat", **given)
        assert result.provider == second, first
        assert result.metadata["attempts"][0]["provider"] == first
        assert result.metadata["attempts"][0]["billed"] == "no"
        assert result.width > result.height * 1.2 or second in ("openrouter", "openai_compat"), (
            first
        )
        assert (tmp_path / first / result.metadata["storage_key"]).is_file()
