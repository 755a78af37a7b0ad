"""
Hostile input: whatever an application passes, only errors of the library come out, and a bad input
sends nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit import ChatClient, ImageClient, errors
from aigc_kit.image.sizes import FAMILIES
from aigc_kit.sandbox import Sandbox
from tests.odd import (
    CHATS,
    EXTREME,
    JUNK,
    ODD,
    REFUSED,
    TEXTS,
    complaint,
    deep,
    loop_dict,
    loop_list,
    outcome,
)
from tests.wire import AMPLE

ASK = [{"role": "user", "content": "hello"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}

# One vendor of each way to treat a history; the long profile tries all of them.
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
DIALECTS = CHATS if LONG else ["openai", "deepseek", "gemini", "bedrock"]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


def chat_client(server: Sandbox, name: str, **options: Any) -> ChatClient:
    own = {"model": "m"} if name == "openai_compat" else {}
    return ChatClient(
        name, **{**server.chat_options(name), **own, "timeout": AMPLE, "max_retries": 0, **options}
    )


@pytest.fixture(scope="module")
def chats(server: Sandbox) -> Iterator[dict[str, ChatClient]]:
    clients = {name: chat_client(server, name) for name in CHATS}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture(scope="module")
def image_clients(server: Sandbox) -> Iterator[dict[str, ImageClient]]:
    clients = {
        name: ImageClient(name, timeout=AMPLE, max_retries=0, **server.image_options(name))
        for name in ("volcengine", "gemini")
    }
    yield clients
    for client in clients.values():
        client.close()


def complaints(
    server: Sandbox, calls: dict[str, Callable[[], Any]], *, refused: bool = False
) -> list[str]:
    """Every case that breaks the rule, each with its name."""
    found = ((name, complaint(server, call, refused=refused)) for name, call in calls.items())
    return [f"{name}: {why}" for name, why in found if why]


# ---- sizes

GOOD_SIZES = [
    "1024x1024",
    "1X1",
    "100000x1",
    "3*4",
    "16×9",
    "1:1",
    "9999:1",
    "1:9999",
    "2k",
    "0.5K",
    "512",
    "auto",
    " 2K\n",
]
BAD_SIZES = [
    "",
    " ",
    "x",
    "1024",
    "1024x",
    "x1024",
    "0x0",
    "0x1",
    "1x0",
    "-1x5",
    "1.5x2",
    "1e3x1e3",
    "1e999",
    "nan",
    "inf",
    "0:1",
    "1:0",
    "0:0",
    "99999:1",
    "1000000x1",
    "9" * 5000 + "x1",
    "1024x1024x1024",
    "１０２４x1024",
    "١x٢",
    "²x²",
    "1024x1024\x00",
    "10 24x1024",
    "5K",
    "2Kx2K",
    "2K\u202e",
    "\ud800",
    "1024\u00a0x\u00a01024\u0301",
    "16:9:1",
    "a:b",
    "2.0K",
    "-2K",
]


@pytest.mark.parametrize("vendor", ["volcengine", "gemini"])
@pytest.mark.parametrize("policy", ["nearest", "exact"])
def test_bad_sizes_are_refused(
    server: Sandbox, image_clients: dict[str, ImageClient], vendor: str, policy: str
) -> None:
    """A text that is not a size, and a value that is not a text, are never paid for."""
    client = image_clients[vendor]
    values: dict[str, Any] = {repr(size)[:40]: size for size in BAD_SIZES}
    values |= {name: make() for name, make in ODD.items()}
    values["none"] = None
    calls = {
        name: lambda size=size: client.text_to_image("x", size=size, size_policy=policy)
        for name, size in values.items()
    }
    assert complaints(server, calls, refused=True) == []


@pytest.mark.parametrize("family", [name for name in FAMILIES if not name.startswith("seededit")])
@pytest.mark.parametrize("policy", ["nearest", "exact"])
def test_sizes_fit_every_family(
    server: Sandbox, image_clients: dict[str, ImageClient], policy: str, family: str
) -> None:
    """Under ``"nearest"`` every size is sent; under ``"exact"`` it is sent or refused."""
    client = image_clients["volcengine"]
    for size in GOOD_SIZES:
        name = outcome(
            server,
            lambda size=size: client.text_to_image(
                "x", size=size, size_policy=policy, family=family, model="ep-1"
            ),
        )
        assert name in (("ok",) if policy == "nearest" else ("ok", "InvalidInputError")), size


@given(
    size=st.one_of(
        TEXTS,
        JUNK,
        st.builds(
            "{}{}{}".format,
            st.integers(-5, 10**7),
            st.sampled_from("xX*×:："),
            st.integers(-5, 10**7),
        ),
        st.from_regex(r"\A[0-9.]{0,5}[xX:*kK]?[0-9]{0,6}\Z"),
    ),
    policy=st.sampled_from(["nearest", "exact"]),
    family=st.sampled_from([name for name in FAMILIES if not name.startswith("seededit")]),
    vendor=st.sampled_from(["volcengine", "gemini"]),
)
def test_any_size_is_sent_or_refused(
    server: Sandbox,
    image_clients: dict[str, ImageClient],
    size: Any,
    policy: str,
    family: str,
    vendor: str,
) -> None:
    """Whatever it is, the sandbox (which knows the vendor's rules) takes what is sent."""
    own = {"family": family, "model": "ep-1"} if vendor == "volcengine" else {}
    assert outcome(
        server,
        lambda: image_clients[vendor].text_to_image("x", size=size, size_policy=policy, **own),
    ) in (
        "ok",
        "InvalidInputError",
    )


# ---- options of clients

NAMES_OF_OPTIONS = {
    "volcengine": [
        "api_key",
        "base_url",
        "model",
        "timeout",
        "family",
        "watermark",
        "size_policy",
        "max_retries",
        "wrong",
    ],
    "gemini": [
        "api_key",
        "base_url",
        "model",
        "timeout",
        "project",
        "location",
        "credentials",
        "vertexai",
        "size_policy",
        "max_retries",
        "wrong",
    ],
}


@pytest.mark.parametrize("vendor", ["volcengine", "gemini"])
def test_odd_options_of_image_clients(server: Sandbox, vendor: str) -> None:
    """A client is refused when it is made, or works, or its first call says why not."""

    def make(name: str, value: Any) -> None:
        options = {**server.image_options(vendor), "timeout": AMPLE, "max_retries": 0, name: value}
        if name == "api_key" and vendor == "gemini":
            options = {"api_key": value, "base_url": server.url, "max_retries": 0}
        try:
            client = ImageClient(vendor, **options)
        except REFUSED:
            return
        with client:
            outcome(server, lambda: client.text_to_image("x"))

    found = []
    for name in NAMES_OF_OPTIONS[vendor]:
        for kind, odd in ODD.items():
            if (name == "vertexai" and kind != "loop dict") or (
                name in ("base_url",) and kind in ("text", "unicode")
            ):
                continue
            server.reset()
            try:
                make(name, odd())
            except Exception as error:
                found.append(f"{name}={kind}: {_said(error)}")
    assert found == []


@pytest.mark.parametrize("vendor", CHATS)
def test_odd_options_of_chat_clients(server: Sandbox, vendor: str) -> None:
    """A client is refused when it is made, or works, or its first call says why not."""
    names = ["api_key", "base_url", "model", "timeout"]
    if vendor in ("openai", "gemini") or LONG:
        names += [
            "max_retries",
            "first_chunk_timeout",
            "chunk_timeout",
            "max_repairs",
            "structured_mode",
            "wrong",
        ]
    names += {
        "gemini": ["project", "location", "credentials"],
        "bedrock": ["region", "profile", "aws_access_key_id", "aws_session_token", "endpoint_url"],
    }.get(vendor, [])

    def make(name: str, value: Any) -> None:
        options = {**server.chat_options(vendor), "model": "m", "timeout": AMPLE, "max_retries": 0}
        if name == "api_key" and vendor in ("gemini", "bedrock"):
            options = {"base_url": server.url, "model": "m", "max_retries": 0}
            options |= {"region": "us-east-1"} if vendor == "bedrock" else {}
        if name == "endpoint_url":
            del options["base_url"]
        try:
            client = ChatClient(vendor, **{**options, name: value})
        except REFUSED:
            return
        with client:
            outcome(server, lambda: client.chat(ASK))

    found = []
    for name in names:
        for kind, odd in ODD.items():
            if name in ("base_url", "endpoint_url") and kind in ("text", "unicode"):
                continue
            server.reset()
            try:
                make(name, odd())
            except Exception as error:
                found.append(f"{name}={kind}: {_said(error)}")
    assert found == []


def _said(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:160]
    except Exception:
        return type(error).__name__


@pytest.mark.parametrize("kind", [ImageClient, ChatClient])
def test_odd_providers_are_refused(kind: Any) -> None:
    """A provider is a name or an instance, and nothing else makes one."""
    found = []
    for name, make in ODD.items():
        try:
            kind(make(), api_key="k")
        except REFUSED:
            continue
        except Exception as error:
            found.append(f"{name}: {_said(error)}")
        else:
            found.append(f"{name}: made")
    assert found == []


BAD_URLS = [
    "",
    " ",
    "x",
    "http://",
    "https:///v1",
    "ftp://a",
    "file:///etc",
    "http://a b",
    "http://a\r\nHost: b",
    "http://a\tb",
    "http://\x00",
    "http://user:secret@a",
    "http://a:0",
    "http://a:99999",
    "http://a:x",
    "http://[::1",
    "http://[zz]",
    "http://:secret@a",
    "http://a/v1?",
    "http://a/v1#",
    "http://a/v1?key=secret",
    "http://a/v1#secret",
    "javascript:1",
    "//a",
    "http:a",
    "http://\ud800",
    "http://a\u2028b",
    "http://a/\ud800",
]


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("name", ["volcengine", "gemini", "bedrock", "deepseek"])
def test_bad_base_urls_are_refused(server: Sandbox, name: str, url: str) -> None:
    """When the client is made, without showing a password."""
    with pytest.raises(errors.ConfigurationError) as caught:
        ChatClient(name, **{**server.chat_options(name), "base_url": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "a\r\nb",
        "a\x00b",
        "键",
        "a\u2028b",
        "a\ud800",
        "a\x7f",
        5,
        b"k",
        ["k"],
        {"k": 1},
        1.5,
        True,
    ],
)
@pytest.mark.parametrize("name", CHATS)
def test_bad_keys_are_refused(server: Sandbox, name: str, key: Any) -> None:
    """When the client is made; the message does not repeat them."""
    options = {"base_url": server.chat_options(name)["base_url"], "api_key": key, "model": "m"}
    if name == "bedrock":
        options["region"] = "us-east-1"
    with pytest.raises(errors.ConfigurationError) as caught:
        ChatClient(name, **options)
    assert not isinstance(key, str) or not key.strip() or repr(key) not in str(caught.value)


# ---- prompts

GOOD_PROMPTS = {
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469",
    "rtl": "\u202eabc\u202c שלום",
    "nul": "a\x00b",
    "controls": "a\x01\x1b[31m\r\n\t",
    "megabyte": "画" * 350_000,
    "bom": "\ufeffx",
    "noncharacter": "\uffff\U0010ffff",
    "json": '"}],"x":[{"',
}


@pytest.mark.parametrize("vendor", ["volcengine", "gemini"])
@pytest.mark.parametrize("name", GOOD_PROMPTS)
def test_prompts_arrive_to_the_letter(
    server: Sandbox, image_clients: dict[str, ImageClient], vendor: str, name: str
) -> None:
    """Any valid Unicode, however odd."""
    server.reset()
    image_clients[vendor].text_to_image(GOOD_PROMPTS[name])
    body = server.requests[0].body
    assert GOOD_PROMPTS[name] == (
        body["prompt"] if vendor == "volcengine" else body["contents"][0]["parts"][0]["text"]
    )


@pytest.mark.parametrize("vendor", ["volcengine", "gemini"])
def test_bad_prompts_are_refused(
    server: Sandbox, image_clients: dict[str, ImageClient], vendor: str
) -> None:
    """Texts that are blank or not Unicode, and values that are not texts."""
    values: dict[str, Any] = {
        name: make() for name, make in ODD.items() if name not in ("text", "nul", "crlf", "unicode")
    }
    values |= {"none": None, "blank": " \n", "half": "\udfff"}
    client = image_clients[vendor]
    for call in (
        client.text_to_image,
        lambda p: client.image_to_image(p, reference_images=b"x"),
        lambda p: client.text_to_images(p, n=2),
    ):
        calls = {name: lambda value=value, call=call: call(value) for name, value in values.items()}
        assert complaints(server, calls, refused=True) == []


PICTURE_OPTIONS = [
    "timeout",
    "max_retries",
    "model",
    "size_policy",
    "extra_headers",
    "extra_body",
    "idempotency_key",
]
VENDOR_OPTIONS = {
    "volcengine": ["family", "seed"],
    "gemini": [
        "image_config",
        "thinking_config",
        "image_output_options",
        "output_mime_type",
        "safety_settings",
        "system_instruction",
    ],
}


@pytest.mark.parametrize(
    ("vendor", "option"),
    [
        (vendor, option)
        for vendor, own in VENDOR_OPTIONS.items()
        for option in [*PICTURE_OPTIONS, *own]
    ],
)
def test_odd_options_of_image_calls(
    server: Sandbox, image_clients: dict[str, ImageClient], vendor: str, option: str
) -> None:
    """They are refused, or sent as JSON."""
    client = image_clients[vendor]
    calls = {
        name: lambda make=make: client.text_to_image("x", **{option: make()})
        for name, make in ODD.items()
    }
    assert complaints(server, calls) == []


@pytest.mark.parametrize("vendor", ["volcengine", "gemini"])
def test_odd_numbers_of_images(
    server: Sandbox, image_clients: dict[str, ImageClient], vendor: str
) -> None:
    """``n`` is a whole number from 1 to 100."""
    calls = {
        name: lambda make=make: image_clients[vendor].text_to_images("x", n=make())
        for name, make in ODD.items()
    }
    assert complaints(server, calls, refused=True) == []


# ---- messages

PLACES: dict[str, Callable[[Any], Any]] = {
    "messages": lambda odd: odd,
    "message": lambda odd: [odd],
    "second message": lambda odd: [*ASK, odd],
    "role": lambda odd: [{"role": odd, "content": "x"}],
    "content": lambda odd: [{"role": "user", "content": odd}],
    "content of system": lambda odd: [{"role": "system", "content": odd}, *ASK],
    "content of assistant": lambda odd: [*ASK, {"role": "assistant", "content": odd}, *ASK],
    "part": lambda odd: [{"role": "user", "content": [odd]}],
    "type of part": lambda odd: [{"role": "user", "content": [{"type": odd, "text": "x"}]}],
    "text of part": lambda odd: [{"role": "user", "content": [{"type": "text", "text": odd}]}],
    "unknown part": lambda odd: [{"role": "user", "content": [{"type": "file", "file": odd}]}],
    "image": lambda odd: [{"role": "user", "content": [{"type": "image_url", "image_url": odd}]}],
    "image url": lambda odd: [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": odd}}]}
    ],
    "image detail": lambda odd: [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": PIXEL, "detail": odd}}],
        }
    ],
    "name": lambda odd: [{"role": "user", "content": "x", "name": odd}],
    "unknown field": lambda odd: [{"role": "user", "content": "x", "more": odd}],
    "refusal": lambda odd: [*ASK, {"role": "assistant", "content": "x", "refusal": odd}, *ASK],
    "tool_calls": lambda odd: [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": odd},
        *ASK,
    ],
    "tool call": lambda odd: [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [odd]},
        *ASK,
    ],
    "call id": lambda odd: history(call={**CALL, "id": odd}, id=odd),
    "call function": lambda odd: history(call={**CALL, "function": odd}),
    "call name": lambda odd: history(call={**CALL, "function": {"name": odd, "arguments": "{}"}}),
    "call arguments": lambda odd: history(
        call={**CALL, "function": {"name": "look", "arguments": odd}}
    ),
    "call argument": lambda odd: history(
        call={**CALL, "function": {"name": "look", "arguments": {"a": odd}}}
    ),
    "call extra": lambda odd: history(call={**CALL, "extra_content": odd}),
    "call google": lambda odd: history(call={**CALL, "extra_content": {"google": odd}}),
    "call signature": lambda odd: history(
        call={**CALL, "extra_content": {"google": {"thought_signature": odd, "id": odd}}}
    ),
    "tool_call_id": lambda odd: history(id=odd),
    "tool content": lambda odd: history(content=odd),
    "extra_content": lambda odd: history(extra_content=odd),
    "google": lambda odd: history(extra_content={"google": odd}),
    "segments": lambda odd: history(extra_content={"google": {"parts": odd}}),
    "segment": lambda odd: history(text="x", extra_content={"google": {"parts": [odd]}}),
    "segment text": lambda odd: history(
        text="x", extra_content={"google": {"parts": [{"text": "x", "thought_signature": odd}]}}
    ),
    "signature": lambda odd: history(
        text="x", extra_content={"google": {"thought_signature": odd}}
    ),
    "thinking_blocks": lambda odd: history(thinking_blocks=odd),
    "thinking block": lambda odd: history(thinking_blocks=[odd]),
    "thinking": lambda odd: history(
        thinking_blocks=[{"type": "thinking", "thinking": odd, "signature": "eA=="}]
    ),
    "thinking signature": lambda odd: history(
        thinking_blocks=[{"type": "thinking", "thinking": "x", "signature": odd}]
    ),
    "redacted": lambda odd: history(thinking_blocks=[{"type": "redacted_thinking", "data": odd}]),
    "reasoning_content": lambda odd: history(reasoning_content=odd),
}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="


def history(
    *, call: Any = CALL, id: Any = "call_1", content: Any = "found", text: Any = None, **fields: Any
) -> list[Any]:
    turn = {"role": "assistant", "content": text, "tool_calls": [call], **fields}
    return [*ASK, turn, {"role": "tool", "tool_call_id": id, "content": content}]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", DIALECTS)
def test_odd_values_in_messages(
    server: Sandbox, chats: dict[str, ChatClient], name: str, place: str
) -> None:
    """In every field, plain and streamed: refused before anything is sent, or sent as JSON."""
    client, spot = chats[name], PLACES[place]
    calls = {kind: lambda make=make: client.chat(spot(make())) for kind, make in ODD.items()}
    calls |= {
        f"{kind} streamed": lambda make=make: list(client.chat_stream(spot(make())))
        for kind, make in ODD.items()
        if kind
        in ("surrogate", "dict of object", "dict of nan", "bytes", "object", "loop dict", "text")
    }
    assert complaints(server, calls) == []


MUST_REFUSE = {
    "content": [
        "true",
        "zero",
        "nan",
        "bytes",
        "bytearray",
        "dict",
        "set",
        "object",
        "generator",
        "surrogate",
        "list",
    ],
    "role": ["true", "zero", "text", "bytes", "list", "object", "surrogate"],
    "message": ["text", "bytes", "list", "object", "true", "nan", "set"],
    "part": ["text", "bytes", "list", "object", "empty dict", "nan"],
    "text of part": ["zero", "bytes", "list", "surrogate", "object"],
    "image": ["zero", "bytes", "empty text", "text", "list", "empty dict", "object", "surrogate"],
    "image url": [
        "zero",
        "bytes",
        "empty text",
        "text",
        "list",
        "empty dict",
        "object",
        "surrogate",
    ],
    "tool_calls": ["text", "dict", "list", "object", "bytes", "nan"],
    "tool_call_id": ["zero", "bytes", "empty text", "list", "text", "surrogate"],
    "call id": ["zero", "bytes", "list", "object", "surrogate"],
    "call name": ["zero", "bytes", "list", "empty text", "object", "surrogate"],
    "call arguments": [
        "zero",
        "bytes",
        "list",
        "object",
        "surrogate",
        "dict of object",
        "dict of nan",
        "loop dict",
    ],
    "tool content": ["zero", "bytes", "dict", "list", "object", "surrogate", "nan"],
}


@pytest.mark.parametrize("name", CHATS)
def test_wrong_messages_are_refused(
    server: Sandbox, chats: dict[str, ChatClient], name: str
) -> None:
    """What is wrong for every vendor is never sent."""
    calls = {
        f"{place}={kind}": lambda place=place, kind=kind: chats[name].chat(
            PLACES[place](ODD[kind]())
        )
        for place, kinds in MUST_REFUSE.items()
        for kind in kinds
    }
    assert complaints(server, calls, refused=True) == []


GOOD_HISTORIES: dict[str, list[dict[str, Any]]] = {
    "plain": ASK,
    "parts": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "image_url", "image_url": {"url": PIXEL}},
            ],
        }
    ],
    "image as text": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": PIXEL}],
        }
    ],
    "system": [{"role": "system", "content": "s"}, {"role": "developer", "content": "d"}, *ASK],
    "tools": history(),
    "empty result": history(content=""),
    "two users": [*ASK, *ASK],
    "arguments as object": history(
        call={**CALL, "function": {"name": "look", "arguments": {"a": [1, None, "é"]}}}
    ),
    "no arguments": history(call={"id": "call_1", "function": {"name": "look"}}),
    "null content": [*ASK, {"role": "assistant", "content": None}, *ASK],
    "unicode": [{"role": "user", "content": "\u202e\U0001f600\x00\ufeff"}],
    "odd id": history(call={**CALL, "id": "调用/1 #?"}, id="调用/1 #?"),
    "thoughts": history(
        thinking_blocks=[{"type": "redacted_thinking", "data": "eA=="}], reasoning_content="r"
    ),
    "tuple": [{"role": "user", "content": ({"type": "text", "text": "x"},)}],
    "megabyte": [{"role": "user", "content": "字" * 350_000}],
    "infinite argument": history(
        call={**CALL, "function": {"name": "look", "arguments": '{"a": 1e999}'}}
    ),
    "argument that is no number": history(
        call={**CALL, "function": {"name": "look", "arguments": '{"a": NaN}'}}
    ),
    "cut arguments": history(call={**CALL, "function": {"name": "look", "arguments": '{"a": '}}),
    "deep arguments": history(
        call={
            **CALL,
            "function": {"name": "look", "arguments": '{"a": ' + "[" * 5000 + "]" * 5000 + "}"},
        }
    ),
    "infinite result": history(content='{"a": 1e999, "b": NaN}'),
    "deep result": history(content='{"a": ' + "[" * 950 + "]" * 950 + "}"),
    **{
        f"{depth} deep": history(
            call={
                **CALL,
                "function": {
                    "name": "look",
                    "arguments": '{"a": ' + "[" * depth + "]" * depth + "}",
                },
            }
        )
        for depth in (90, 99, 101, 500, 905, 975, 990, 1490, 9980)
    },
}


@pytest.mark.parametrize("kind", GOOD_HISTORIES)
@pytest.mark.parametrize("name", CHATS)
def test_valid_histories_go_through(
    server: Sandbox, chats: dict[str, ChatClient], name: str, kind: str
) -> None:
    """Plain and streamed, and they are not changed."""
    messages = GOOD_HISTORIES[kind]
    before = json.dumps(messages)
    assert outcome(server, lambda: chats[name].chat(messages)) == "ok"
    assert outcome(server, lambda: list(chats[name].chat_stream(messages))) == "ok"
    assert json.dumps(messages) == before


FIELDS = [
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "extra_content",
    "thinking_blocks",
    "reasoning_content",
    "refusal",
]
MESSAGE = st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=4).flatmap(
    lambda fields: st.sampled_from(["user", "assistant", "system", "tool", None]).map(
        lambda role: {"content": "x", **fields, **({"role": role} if role else {})}
    )
)


@given(
    name=st.sampled_from(CHATS),
    messages=st.lists(st.one_of(MESSAGE, MESSAGE, JUNK), max_size=4) | JUNK,
    stream=st.booleans(),
)
def test_any_messages_are_sent_or_refused(
    server: Sandbox, chats: dict[str, ChatClient], name: str, messages: Any, stream: bool
) -> None:
    """Random nesting of everything, for every vendor."""
    client = chats[name]
    outcome(server, lambda: list(client.chat_stream(messages)) if stream else client.chat(messages))


@given(
    name=st.sampled_from(CHATS),
    place=st.sampled_from(sorted(PLACES)),
    value=JUNK,
    stream=st.booleans(),
)
def test_any_value_in_any_place_is_sent_or_refused(
    server: Sandbox, chats: dict[str, ChatClient], name: str, place: str, value: Any, stream: bool
) -> None:
    """One field of a valid history at a time."""
    client, messages = chats[name], PLACES[place](value)
    outcome(server, lambda: list(client.chat_stream(messages)) if stream else client.chat(messages))


# ---- parameters of a call


def named(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda odd: {name: odd}


OPTIONS: dict[str, Callable[[Any], dict[str, Any]]] = {
    **{
        name: named(name)
        for name in (
            "model",
            "tools",
            "tool_choice",
            "response_format",
            "temperature",
            "top_p",
            "max_tokens",
            "stop",
            "seed",
            "timeout",
            "max_retries",
            "first_chunk_timeout",
            "chunk_timeout",
            "structured_mode",
            "max_repairs",
            "extra_body",
            "extra_headers",
            "thinking",
            "reasoning_effort",
            "thinking_config",
            "max_completion_tokens",
            "presence_penalty",
            "stream_options",
            "safety_settings",
            "guardrail_config",
            "top_k",
        )
    },
    "tool": lambda odd: {"tools": [odd]},
    "tool type": lambda odd: {"tools": [{**TOOL, "type": odd}]},
    "tool function": lambda odd: {"tools": [{"type": "function", "function": odd}]},
    "tool name": lambda odd: {"tools": [{"type": "function", "function": {"name": odd}}]},
    "tool description": lambda odd: {
        "tools": [{"type": "function", "function": {"name": "f", "description": odd}}]
    },
    "tool parameters": lambda odd: {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": odd}}]
    },
    "tool properties": lambda odd: {
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": odd}},
            }
        ]
    },
    "tool property": lambda odd: {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "parameters": {"type": "object", "properties": {"a": odd}},
                },
            }
        ]
    },
    "tool $ref": lambda odd: {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "parameters": {"type": "object", "properties": {"a": {"$ref": odd}}},
                },
            }
        ]
    },
    "chosen": lambda odd: {"tools": [TOOL], "tool_choice": odd},
    "chosen function": lambda odd: {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": odd},
    },
    "chosen name": lambda odd: {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": odd}},
    },
    "format type": lambda odd: {"response_format": {"type": odd}},
    "json_schema": lambda odd: {"response_format": {"type": "json_schema", "json_schema": odd}},
    "schema": lambda odd: {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": odd}}
    },
    "schema name": lambda odd: {
        "response_format": {"type": "json_schema", "json_schema": {"name": odd, "schema": SCHEMA}}
    },
    "schema description": lambda odd: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "description": odd, "schema": SCHEMA},
        }
    },
    "schema property": lambda odd: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": odd}}},
        }
    },
    "schema default": lambda odd: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {**SCHEMA, "default": odd}},
        }
    },
    "extra_body value": lambda odd: {"extra_body": {"a": odd}},
    "header value": lambda odd: {"extra_headers": {"X-A": odd}},
    "header name": lambda odd: (
        {"extra_headers": {odd: "x"}} if odd.__hash__ else {"extra_headers": odd}
    ),
    "stop item": lambda odd: {"stop": [odd]},
    "thinking type": lambda odd: {"thinking": {"type": odd}},
    "thinking budget": lambda odd: {"thinking": {"type": "enabled", "budget_tokens": odd}},
    "unknown": lambda odd: {"custom_field": odd},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", DIALECTS)
def test_odd_values_in_options(
    server: Sandbox, chats: dict[str, ChatClient], name: str, option: str
) -> None:
    """Every parameter of a call: refused before anything is sent, or sent as JSON."""
    client, make = chats[name], OPTIONS[option]
    calls = {kind: lambda odd=odd: client.chat(ASK, **make(odd())) for kind, odd in ODD.items()}
    assert complaints(server, calls) == []


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "amazon.nova-2-lite-v1:0",
        "mistral.m",
        "meta.llama3",
    ],
)
def test_odd_values_of_thinking_on_bedrock(
    server: Sandbox, chats: dict[str, ChatClient], model: str
) -> None:
    """Whatever a budget is, for every family of models."""
    calls = {
        kind: lambda odd=odd: chats["bedrock"].chat(
            ASK, model=model, thinking={"type": "enabled", "budget_tokens": odd()}
        )
        for kind, odd in ODD.items()
    }
    assert complaints(server, calls) == []


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.8-flash"])
def test_odd_values_of_thinking_on_gemini(
    server: Sandbox, chats: dict[str, ChatClient], model: str
) -> None:
    """Whatever a budget or an effort is, for both generations."""
    calls = {
        kind: lambda odd=odd: chats["gemini"].chat(
            ASK, model=model, thinking={"type": "enabled", "budget_tokens": odd()}
        )
        for kind, odd in ODD.items()
    }
    calls |= {
        f"effort {kind}": lambda odd=odd: chats["gemini"].chat(
            ASK, model=model, reasoning_effort=odd()
        )
        for kind, odd in ODD.items()
    }
    assert complaints(server, calls) == []


@given(
    name=st.sampled_from(CHATS),
    option=st.sampled_from(sorted(OPTIONS)),
    value=JUNK,
    stream=st.booleans(),
)
def test_any_value_in_any_option_is_sent_or_refused(
    server: Sandbox, chats: dict[str, ChatClient], name: str, option: str, value: Any, stream: bool
) -> None:
    """One parameter at a time, plain and streamed."""
    client = chats[name]
    try:
        options = OPTIONS[option](value)
    except TypeError:  # a dict of such keys cannot even be made
        return
    outcome(
        server,
        lambda: list(client.chat_stream(ASK, **options)) if stream else client.chat(ASK, **options),
    )


HEADERS = [
    {"X-A": "a\r\nX-Injected: 1"},
    {"X-A": "a\nb"},
    {"X-A": "a\x00"},
    {"X-A\r\nX-Injected": "1"},
    {"X A": "1"},
    {"": "1"},
    {"X-A:": "1"},
    {"X-A": "é"},
    {"X-A": "\u2028"},
    {"X-名": "1"},
    {"X-A": "\ud800"},
    {"X-A": "\x7f"},
]


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("name", [*CHATS, "volcengine images", "gemini images"])
def test_headers_cannot_be_injected(
    server: Sandbox,
    chats: dict[str, ChatClient],
    image_clients: dict[str, ImageClient],
    name: str,
    headers: dict[str, str],
) -> None:
    """
    A header that HTTP cannot carry is refused by name, not found out on the wire and tried again.
    """
    server.reset()
    call: Callable[[], Any] = lambda: chats[name].chat(ASK, extra_headers=headers)  # noqa: E731
    if name.endswith("images"):
        call = lambda: image_clients[name.split()[0]].text_to_image("x", extra_headers=headers)  # noqa: E731
    with pytest.raises(REFUSED, match="extra_headers"):
        call()
    assert server.requests == []


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Expect",
        "Content-Encoding",
        "Content-Type",
        "Cookie",
    ],
)
@pytest.mark.parametrize("name", ["deepseek", "gemini", "bedrock"])
def test_headers_that_frame_a_request(server: Sandbox, name: str, header: str) -> None:
    """The outcome is an answer or an error of the library."""
    with chat_client(server, name, timeout=1) as client:
        for value in ("0", "5", "chunked", "close", "100-continue", "gzip"):
            with contextlib.suppress(errors.AIGCError):
                client.chat(ASK, extra_headers={header: value})


@pytest.mark.parametrize("name", DIALECTS if LONG else ["openai"])
def test_what_cannot_be_shown_is_refused_all_the_same(
    server: Sandbox, chats: dict[str, ChatClient], name: str
) -> None:
    """
    Numbers of 5000 digits, lists that are too deep, objects whose ``repr`` fails: in messages and
    options.
    """
    calls = {
        f"{place}={kind}": lambda spot=spot, odd=odd: chats[name].chat(spot(odd()))
        for place, spot in PLACES.items()
        for kind, odd in EXTREME.items()
    }
    calls |= {
        f"{option}={kind}": lambda make=make, odd=odd: chats[name].chat(ASK, **make(odd()))
        for option, make in OPTIONS.items()
        for kind, odd in EXTREME.items()
        if (option, kind) != ("header name", "deep")
    }
    assert complaints(server, calls) == []


@pytest.mark.parametrize("vendor", ["volcengine", "gemini"])
def test_what_cannot_be_shown_is_refused_by_images(
    server: Sandbox, image_clients: dict[str, ImageClient], vendor: str
) -> None:
    """The same for prompts, sizes and options."""
    client = image_clients[vendor]
    calls: dict[str, Callable[[], Any]] = {}
    for kind, odd in EXTREME.items():
        calls[f"prompt={kind}"] = lambda odd=odd: client.text_to_image(odd())
        for option in (
            "size",
            "timeout",
            "max_retries",
            "model",
            "size_policy",
            "idempotency_key",
            "extra_body",
            "extra_headers",
            "seed",
        ):
            calls[f"{option}={kind}"] = lambda odd=odd, option=option: client.text_to_image(
                "x", **{option: odd()}
            )
    assert complaints(server, calls) == []


@pytest.mark.parametrize("name", ["openai", "gemini", "bedrock"])
def test_what_cannot_be_shown_is_no_option(server: Sandbox, name: str) -> None:
    """The same for clients."""
    found = []
    for option in (
        "api_key",
        "base_url",
        "model",
        "timeout",
        "max_retries",
        "structured_mode",
        "region",
        "project",
        "wrong",
    ):
        for kind, odd in EXTREME.items():
            try:
                ChatClient(name, **{**server.chat_options(name), option: odd()}).close()
            except REFUSED:
                continue
            except Exception as error:
                found.append(f"{option}={kind}: {_said(error)}")
            else:
                found += (
                    [f"{option}={kind}: made"] if option != "model" and kind != "huge int" else []
                )
    assert found == []


SCHEMAS: dict[str, Callable[[], Any]] = {
    "recursive object": loop_dict,
    "recursive list": lambda: {"enum": loop_list()},
    "deep": lambda: {"enum": deep()},
    "lock": lambda: {"default": (x for x in "a")},
    "bad type": lambda: {"type": "banana"},
    "bad pattern": lambda: {"type": "string", "pattern": "("},
    "$ref to nowhere": lambda: {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
    "$ref loop": lambda: {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    },
    "$ref to a file": lambda: {
        "type": "object",
        "properties": {"a": {"$ref": "file:///etc/passwd"}},
    },
    "$ref to an address": lambda: {"$ref": "http://127.0.0.1:9/schema"},
    "nan": lambda: {"type": "number", "minimum": float("nan")},
}


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("name", ["openai", "deepseek", "gemini", "bedrock"])
def test_schemas_that_cannot_be_applied_are_refused(
    server: Sandbox, chats: dict[str, ChatClient], name: str, kind: str
) -> None:
    """Before anything is sent: a paid answer that cannot be validated is useless."""
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMAS[kind]()}}
    assert (
        complaint(server, lambda: chats[name].chat(ASK, response_format=wanted), refused=True) == ""
    )


def test_schemas_open_no_url(server: Sandbox, chats: dict[str, ChatClient]) -> None:
    """A ``$ref`` to a URL is not fetched, before the answer or after it."""
    with Sandbox() as other:
        for schema in (
            {"$ref": f"{other.url}/s"},
            {"type": "object", "properties": {"answer": {"$ref": f"{other.url}/s"}}},
        ):
            wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
            server.answer(
                200,
                {"choices": [{"message": {"content": '{"answer": 1}'}, "finish_reason": "stop"}]},
            )
            with pytest.raises(errors.AIGCError):
                chats["openai"].chat(ASK, response_format=wanted)
        assert other.requests == []


def test_pydantic_classes_without_a_schema_are_refused(
    server: Sandbox, chats: dict[str, ChatClient]
) -> None:
    """A class that pydantic itself cannot describe."""
    from pydantic import BaseModel

    class Unfit(BaseModel):
        work: Callable[[int], int]

    assert (
        complaint(server, lambda: chats["openai"].chat(ASK, response_format=Unfit), refused=True)
        == ""
    )


@pytest.mark.parametrize(
    "tool_name", ["a b", "名", "x" * 1000, "a\x00", "a\ud800", "a/b", "1a", "-", "a\n"]
)
@pytest.mark.parametrize("name", CHATS)
def test_odd_tool_names(
    server: Sandbox, chats: dict[str, ChatClient], name: str, tool_name: str
) -> None:
    """They are refused or sent; in a history of another vendor they do no harm."""
    tool = {"type": "function", "function": {"name": tool_name, "parameters": SCHEMA}}
    assert complaint(server, lambda: chats[name].chat(ASK, tools=[tool])) == ""
    call = {**CALL, "function": {"name": tool_name, "arguments": "{}"}}
    assert complaint(server, lambda: chats[name].chat(history(call=call))) == ""


# ---- tools that return or raise odd things


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raises(error: BaseException) -> Any:
    raise error


RESULTS: dict[str, Callable[[], Any]] = {
    **ODD,
    **EXTREME,
    "none": lambda: None,
    "text with infinity": lambda: '{"a": 1e999}',
    "deep text": lambda: '{"a": ' + "[" * 950 + "]" * 950 + "}",
    "megabyte": lambda: "x" * 1_000_000,
    "bad bytes": lambda: b"\xff" * 1000,
    "memoryview": lambda: memoryview(b"abc"),
    "value error": lambda: raises(ValueError("x" * 100_000)),
    "error with surrogate": lambda: raises(FileNotFoundError(2, "no such file", "a\udcff")),
    "error without text": lambda: raises(NoText()),
    "error of huge int": lambda: raises(KeyError(10**5000)),
    "stop iteration": lambda: raises(StopIteration()),
    "recursion": lambda: raises(RecursionError()),
    "memory": lambda: raises(MemoryError()),
    "assertion": lambda: raises(AssertionError()),
    "our own": lambda: raises(errors.ServerError("x")),
    "group": lambda: raises(ExceptionGroup("g", [ValueError("x")])),
    "class with model_dump": lambda: type("Odd", (), {"model_dump": 5}),
}


@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("name", ["openai", "deepseek", "gemini", "bedrock"])
def test_whatever_a_tool_does_reaches_the_model(
    server: Sandbox, chats: dict[str, ChatClient], name: str, kind: str
) -> None:
    """Odd results and exceptions are reported to the model, and the conversation continues."""
    server.reset()
    result = chats[name].chat_with_tools(
        ASK, [TOOL], tool_executor=lambda name, args: RESULTS[kind]()
    )
    assert len(server.requests) == 2
    json.dumps(result.messages, allow_nan=False).encode()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_tool_may_end_the_program(
    server: Sandbox, chats: dict[str, ChatClient], error: type[BaseException]
) -> None:
    """What is not an ``Exception`` is raised unchanged."""
    with pytest.raises(error):
        chats["openai"].chat_with_tools(
            ASK, [TOOL], tool_executor=lambda name, args: raises(error())
        )


@pytest.mark.parametrize(
    "option", ["max_iterations", "on_tool_error", "tool_executor", "tools", "tool_choice"]
)
def test_odd_options_of_the_tool_loop(
    server: Sandbox, chats: dict[str, ChatClient], option: str
) -> None:
    """Refused before the first call, or meant."""
    calls = {}
    for kind, make in ODD.items():
        if option == "tool_executor" and kind in ("class", "function"):
            continue
        given = {
            "tools": [TOOL],
            "tool_executor": lambda name, args: "x",
            "on_tool_error": "tell",
            option: make(),
        }
        calls[kind] = lambda given=given: chats["openai"].chat_with_tools(ASK, **given)
    assert complaints(server, calls) == []


@given(value=JUNK)
def test_any_result_of_a_tool_reaches_the_model(
    server: Sandbox, chats: dict[str, ChatClient], value: Any
) -> None:
    """As JSON text."""
    result = chats["openai"].chat_with_tools(ASK, [TOOL], tool_executor=lambda name, args: value)
    json.dumps(result.messages, allow_nan=False).encode()
