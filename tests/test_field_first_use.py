"""
A web server's first minutes, in fresh interpreters: threads chat while a library is loaded for the first time.

A run of pytest cannot see this, for collection imports everything.
Source: https://docs.python.org/3/library/sys.html#sys.modules
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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


with Sandbox() as sandbox, ChatClient("openai", **sandbox.chat_options("openai")) as chat:
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
    Every chat is answered while the first image is drawn, the first image of a message is fetched, or the application
    imports httpx itself. A library that is half loaded in one thread is not seen by an SDK in another.
    """
    for _ in range(2):  # a race needs luck
        done = subprocess.run([sys.executable, "-c", CHATTING, other], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-500:]
        seen = json.loads(done.stdout)
        assert seen.pop("answered", 0) > 0
        assert seen == {}
