"""
A web server's first minutes, in fresh interpreters: threads chat while a library is loaded for the
first time.

A run of pytest cannot see this, for collection imports everything.
Source: https://docs.python.org/3/library/sys.html#sys.modules
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from aigc_kit import errors
from tests.vendor import ASK, Vendor, completion, outcome

CHATTING = '''
import collections, json, sys, threading
from aigc_kit import ChatClient, ImageClient
from aigc_kit.sandbox import Sandbox

ASK = [{"role": "user", "content": "hi"}]
IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.png"}}
seen, stop = collections.Counter(), threading.Event()


def talk(chat):
    while not stop.is_set():
        try:
            chat.chat(ASK)
            seen["answered"] += 1
        except Exception as error:
            seen[f"{type(error).__name__}: {str(error)[:90]}"] += 1


def draw(sandbox):
    with ImageClient("volcengine", **sandbox.image_options("volcengine")) as images:
        images.text_to_image("a cat")


def download(sandbox):
    """The image of a message is fetched; that it cannot be is not the point."""
    with ChatClient("moonshot", allow_private_hosts=True, **sandbox.chat_options("moonshot")) as kimi:
        kimi.chat(ASK)
        try:
            kimi.chat([{"role": "user", "content": [{"type": "text", "text": "what is it?"}, IMAGE]}], timeout=3)
        except Exception:
            pass


def application(sandbox):
    import httpx


def draw_with_gemini(sandbox):
    with ImageClient("gemini", **sandbox.image_options("gemini")) as images:
        images.text_to_image("a cat")


def ask_bedrock(sandbox):
    with ChatClient("bedrock", **sandbox.chat_options("bedrock")) as other:
        other.chat(ASK)


def store(sandbox):
    from aigc_kit.storage import R2Storage

    with R2Storage(**sandbox.storage_options()) as storage:
        storage.upload_bytes(b"x", "a/b.bin", content_type="application/octet-stream")


talker = sys.argv[2]
with Sandbox() as sandbox, ChatClient(talker, **sandbox.chat_options(talker)) as chat:
    chat.chat(ASK)
    threads = [threading.Thread(target=talk, args=(chat,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        globals()[sys.argv[1]](sandbox)
    except Exception as error:
        seen[f"the other thread: {type(error).__name__}: {str(error)[:90]}"] += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
print(json.dumps(seen))
'''


@pytest.mark.parametrize("other", ["draw", "download", "application"])
def test_chats_are_answered_while_another_thread_loads_a_library(other: str) -> None:
    """
    Every chat is answered while the first image is drawn, the first image of a message is fetched,
    or the application imports httpx itself. A library that is half loaded in one thread is not seen
    by an SDK in another.
    """
    for _ in range(2):  # a race needs luck
        check("openai", other)


def check(talker: str, other: str) -> None:
    """
    Threads chat with one vendor while another thread does the first thing of its kind: there are
    only answers.
    """
    code = [sys.executable, "-c", CHATTING, other, talker]
    done = subprocess.run(code, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    seen = json.loads(done.stdout)
    assert seen.pop("answered", 0) > 0
    assert seen == {}


# ---- siblings: other vendors chat, other libraries are loaded


@pytest.mark.parametrize(
    ("talker", "other"),
    [
        ("openai", "draw_with_gemini"),
        ("openai", "ask_bedrock"),
        ("openai", "store"),
        ("gemini", "application"),
        ("gemini", "draw"),
        ("bedrock", "draw"),
    ],
)
def test_chats_of_every_dialect_are_answered_while_another_library_is_loaded(
    talker: str, other: str
) -> None:
    check(talker, other)


def _broken(*args: object, **options: object) -> None:
    raise AttributeError("partially initialized module 'httpx' has no attribute 'Response'")


def test_an_attribute_error_inside_an_sdk_is_not_the_callers_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import openai

    monkeypatch.setattr(openai.OpenAI, "post", _broken)
    with Vendor(completion("ok")) as vendor:
        result = outcome(lambda: vendor.client().chat(ASK))
    assert not isinstance(result, errors.InvalidInputError)
