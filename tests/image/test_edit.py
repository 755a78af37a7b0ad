"""Editing in turns: by the conversation where the vendor has one, else by reference."""

from __future__ import annotations

import base64
import gc
import pickle
from pathlib import Path
from typing import Any

import pytest

from aigc_kit import ImageClient, ImageResult, errors
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage
from tests.images import make
from tests.wire import AMPLE


def client(sandbox: Sandbox, name: str, **options: Any) -> ImageClient:
    given = {**sandbox.image_options(name), "timeout": AMPLE, "allow_private_hosts": True}
    return ImageClient(name, **{**given, **options})


@pytest.mark.parametrize(
    "name", ["openai", "volcengine", "xai", "siliconflow", "openrouter", "dashscope", "bfl"]
)
def test_the_image_is_the_reference(sandbox: Sandbox, name: str) -> None:
    """``result.edit`` asks the client that made it, with the size that was asked for."""
    with client(sandbox, name) as images:
        first = images.text_to_image("a cat", size="16:9")
        second = first.edit("make it night")
    assert second.provider == name
    assert second.metadata["requested_size"] == "16:9"
    asked = [request for request in sandbox.requests if request.method == "POST"]
    assert "make it night" in str(asked[-1].body)


def test_gemini_goes_on_with_the_conversation(sandbox: Sandbox) -> None:
    """Prompts, images and signatures of every turn, in their order; references of the first too."""
    with client(sandbox, "gemini") as images:
        first = images.image_to_image("a cat", reference_images=make())
        second = first.edit("make it night")
        second.edit("add snow")
    contents = sandbox.requests[-1].body["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]
    texts = [content["parts"][0].get("text") for content in contents]
    assert texts == ["a cat", None, "make it night", None, "add snow"]
    assert base64.b64decode(contents[0]["parts"][1]["inlineData"]["data"]) == make()
    for place, image in ((1, first), (3, second)):
        (part,) = contents[place]["parts"]
        assert base64.b64decode(part["inlineData"]["data"]) == image.data
        assert part["thoughtSignature"]
    assert len(contents[4]["parts"]) == 1


def test_a_model_without_signatures_gets_the_image_as_a_reference(sandbox: Sandbox) -> None:
    with client(sandbox, "gemini", model="gemini-2.5-flash-image") as images:
        images.text_to_image("a cat").edit("make it night")
    (content,) = sandbox.requests[-1].body["contents"]
    assert "inlineData" in content["parts"][1]


def test_a_signature_of_another_model_is_not_sent(sandbox: Sandbox) -> None:
    with client(sandbox, "gemini") as images:
        images.text_to_image("a cat").edit("make it night", model="gemini-3.1-flash-image")
    assert len(sandbox.requests[-1].body["contents"]) == 1


def test_a_signature_that_is_refused_costs_nothing_and_the_image_is_sent(sandbox: Sandbox) -> None:
    with client(sandbox, "gemini") as images:
        first = images.text_to_image("a cat")
        said = "Thought signature is not valid"
        sandbox.answer(400, {"error": {"status": "INVALID_ARGUMENT", "message": said}})
        second = first.edit("make it night")
    assert len(sandbox.requests) == 3
    assert len(sandbox.requests[-1].body["contents"]) == 1
    assert "edit" in [entry["feature"] for entry in second.metadata["warnings"]]


def test_from_one_vendor_to_another(sandbox: Sandbox) -> None:
    """Any client edits any result."""
    with client(sandbox, "gemini") as google, client(sandbox, "openai") as images:
        made = google.text_to_image("a cat")
        edited = made.edit("make it night", client=images, quality="low")
        again = edited.edit("add snow")
        back = again.edit("add a dog", client=google)
    assert [edited.provider, again.provider, back.provider] == ["openai", "openai", "gemini"]
    assert len(sandbox.requests[-1].body["contents"]) == 1


def test_a_result_that_was_pickled_needs_a_client(sandbox: Sandbox) -> None:
    """It keeps its conversation, and neither client nor connections."""
    with client(sandbox, "gemini") as images:
        made = pickle.loads(pickle.dumps(images.text_to_image("a cat")))
        with pytest.raises(errors.ConfigurationError, match="pass client="):
            made.edit("make it night")
        made.edit("make it night", client=images)
    assert len(sandbox.requests[-1].body["contents"]) == 3


def test_a_result_does_not_keep_its_client_alive(sandbox: Sandbox) -> None:
    images = client(sandbox, "openai")
    made = images.text_to_image("a cat")
    images.close()
    with pytest.raises(errors.ConfigurationError, match="was closed"):
        made.edit("make it night")
    del images
    gc.collect()
    with pytest.raises(errors.ConfigurationError, match="is gone"):
        made.edit("make it night")


def test_images_of_groups_callbacks_and_stores_can_be_edited(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    seen: list[ImageResult] = []
    with LocalStorage(tmp_path) as storage, client(sandbox, "openai", storage=storage) as images:
        group = images.text_to_images("cats", n=2, on_image=seen.append)
        stored = images.store(ImageResult.from_bytes(make()))
        for image in (*group, *seen, stored):
            assert image.edit("make it night").url


def test_edit_has_one_reference(sandbox: Sandbox) -> None:
    with client(sandbox, "openai") as images:
        made = images.text_to_image("a cat")
        with pytest.raises(errors.InvalidInputError, match="one reference"):
            made.edit("x", reference_images=[make()])
        with pytest.raises(errors.InvalidInputError, match="must be an ImageResult"):
            images.edit(b"x", "x")  # type: ignore[arg-type]
        with pytest.raises(errors.InvalidInputError, match="prompt"):
            made.edit(" ")
    assert len(sandbox.requests) == 1
