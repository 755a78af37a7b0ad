"""
A conversation that any vendor can continue: own state exactly, foreign state translated, and no
text is lost.
"""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_kit import ChatClient
from aigc_kit.chat.bedrock.request import to_request
from aigc_kit.chat.bedrock.response import as_json
from aigc_kit.chat.bedrock.turns import tool_id
from aigc_kit.chat.call import Call, CallOptions
from aigc_kit.chat.gemini.request import to_body as to_gemini_body
from aigc_kit.chat.gemini.turns import SKIP_SIGNATURE
from aigc_kit.chat.openai_compat.request import to_body as to_openai_body
from aigc_kit.chat.vendors import VENDORS
from aigc_kit.sandbox import Sandbox
from aigc_kit.sandbox import bedrock as bedrock_rules
from aigc_kit.sandbox import gemini_chat as gemini_rules
from aigc_kit.sandbox import openai_chat as openai_rules
from aigc_kit.transport.download import Downloader
from tests.test_contract import PROVIDERS, TOOLS

RESPONSES = "openai by responses"
DIALECTS = [*sorted(PROVIDERS), RESPONSES]
SIGNATURE = base64.b64encode(b"\x00signature\xff").decode()


def client(name: str, sandbox: Sandbox) -> ChatClient:
    if name == RESPONSES:
        return ChatClient("openai", api="responses", **sandbox.chat_options("openai"))
    return ChatClient(name, **{**sandbox.chat_options(name), **PROVIDERS[name]})


@pytest.mark.parametrize("first", DIALECTS)
def test_start_anywhere_continue_everywhere(first: str, sandbox: Sandbox) -> None:
    """
    A tool loop with one vendor, stored as JSON, goes on with each other vendor, with and without
    tools.
    """
    with client(first, sandbox) as chat:
        thinking = (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}}
            if first in ("bedrock", "gemini", "deepseek")
            else {}
        )
        result = chat.chat_with_tools(
            [{"role": "system", "content": "be brief"}, {"role": "user", "content": "[all tools]"}],
            TOOLS,
            tool_executor=lambda name, args: {"temperature": 22},
            **thinking,
        )
    stored = json.dumps(result.messages)
    for second in DIALECTS:
        history = json.loads(stored)
        with client(second, sandbox) as chat:
            for options in ({}, {"tools": TOOLS}, {"tools": TOOLS, "tool_choice": "none"}):
                answer = chat.chat([*history, {"role": "user", "content": "and now?"}], **options)
                assert answer.content or answer.has_tool_calls, second
            looped = chat.chat_with_tools(
                [*history, {"role": "user", "content": "again"}],
                TOOLS,
                tool_executor=lambda name, args: "ok",
            )
            assert looped.content == "The tools said: ok"
        assert history == json.loads(stored)


@pytest.mark.parametrize("second", DIALECTS)
def test_a_turn_in_the_middle_of_a_loop_goes_elsewhere(second: str, sandbox: Sandbox) -> None:
    """One vendor calls, another gets the results: the hardest place to change."""
    for first in DIALECTS:
        question = [{"role": "user", "content": "[all tools]"}]
        with client(first, sandbox) as chat:
            called = chat.chat(question, tools=TOOLS)
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": "22"} for call in called.tool_calls
        ]
        with client(second, sandbox) as chat:
            answer = chat.chat(
                [*question, json.loads(json.dumps(called.message)), *results], tools=TOOLS
            )
        assert answer.content == "The tools said: 22; 22", (first, second)


def test_one_conversation_through_all_dialects_and_back(sandbox: Sandbox) -> None:
    """With an image, tools and what each vendor adds to its turns; stored as JSON in between."""
    way = ["openai", RESPONSES, "gemini", "bedrock", "deepseek"]
    image = {"type": "image_url", "image_url": {"url": PNG}}
    history: list[dict[str, Any]] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "what is this?"}, image]},
    ]
    for name in [*way, *reversed(way)]:
        with client(name, sandbox) as chat:
            answer = chat.chat(history)
            history = [*history, answer.message, {"role": "user", "content": "[all tools]"}]
            looped = chat.chat_with_tools(
                history, TOOLS, tool_executor=lambda tool, args: {"temperature": 22}
            )
        history = json.loads(json.dumps(looped.messages))
        if history[-1]["role"] != "assistant":
            history.append(looped.message)
        history.append({"role": "user", "content": f"thank you, {name}"})
    said = [turn for turn in history if turn["role"] == "user"]
    assert len(said) == 1 + 2 * 2 * len(way)
    assert history[1]["content"][1] == image
    results = [turn for turn in history if turn["role"] == "tool"]
    calls = [call["id"] for turn in history for call in turn.get("tool_calls") or ()]
    assert len(results) == len(calls) >= 2 * len(way)
    assert len(set(calls)) == len(calls)


# ---- generated conversations

text = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
said = text.filter(lambda value: bool(value.strip()))
ids = st.one_of(
    st.from_regex(r"call_[a-z0-9]{4}", fullmatch=True),
    st.text(alphabet="abc/ |é", min_size=1, max_size=80),
    st.just("x" * 90),
)
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    if draw(st.booleans()):
        turns.append({"role": "system", "content": draw(text)})
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["plain", "image", "system first"]))
        if kind == "system first":
            turns.append(
                {"role": draw(st.sampled_from(["system", "developer"])), "content": draw(said)}
            )
        content: Any = draw(text)
        if kind == "image":
            content = [
                {"type": "text", "text": draw(text)},
                {"type": "image_url", "image_url": {"url": PNG}},
            ]
        turns.append({"role": "user", "content": content})
        if draw(st.booleans()):
            marks = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
            signed = draw(st.sampled_from(["none", "gemini", "claude", "deepseek"]))
            turn: dict[str, Any] = {
                "role": "assistant",
                "content": draw(st.one_of(st.none(), text)),
                "tool_calls": [
                    {
                        "id": mark,
                        "type": "function",
                        "function": {
                            "name": draw(st.sampled_from(["get_weather", "get_time"])),
                            "arguments": draw(
                                st.sampled_from(["", "{}", '{"city": "猫"}', "[1]", "no json"])
                            ),
                        },
                    }
                    for mark in marks
                ],
            }
            if signed == "gemini":
                turn["tool_calls"][0]["extra_content"] = {
                    "google": {"thought_signature": gemini_rules.SIGNATURE}
                }
            elif signed == "claude":
                turn["thinking_blocks"] = [
                    {"type": "thinking", "thinking": "t", "signature": bedrock_rules.SIGNATURE}
                ]
            elif signed == "deepseek":
                turn["reasoning_content"] = "thought"
            turns.append(turn)
            turns += [
                {"role": "tool", "tool_call_id": mark, "content": draw(text)} for mark in marks
            ]
        if draw(st.booleans()):
            turns.append({"role": "assistant", "content": draw(text)})
    turns.append({"role": "user", "content": draw(said)})
    return turns


OPTIONS = CallOptions.read()
DOWNLOADER = Downloader()


def call_of(messages: list[dict[str, Any]], model: str, name: str, tools: Any) -> Call:
    return Call.read(messages, {"tools": tools} if tools else {}, OPTIONS, model, name)


def contents_of(history: list[dict[str, Any]], model: str) -> list[dict[str, Any]]:
    call = call_of(history, model, "gemini", None)
    contents: list[dict[str, Any]] = to_gemini_body(call, call.messages, DOWNLOADER).body[
        "contents"
    ]
    return contents


def converse_messages_of(history: list[dict[str, Any]], model: str) -> list[dict[str, Any]]:
    call = call_of(history, model, "bedrock", None)
    messages: list[dict[str, Any]] = to_request(call, call.messages, DOWNLOADER, native=True).body[
        "messages"
    ]
    return messages


def visible(value: Any) -> str:
    """Every text in a request, for looking whether something was lost."""
    return json.dumps(as_json(value), ensure_ascii=False)


def spoken(messages: list[dict[str, Any]]) -> list[str]:
    """What the user and the tools said."""
    found = []
    for message in messages:
        if message["role"] in ("user", "tool"):
            parts = (
                message["content"]
                if isinstance(message["content"], list)
                else [{"text": message["content"]}]
            )
            found += [part["text"] for part in parts if part.get("text", "").strip()]
    return found


@given(conversations(), st.sampled_from(sorted(PROVIDERS)), st.booleans())
def test_every_conversation_is_legal_everywhere(
    messages: list[dict[str, Any]], name: str, with_tools: bool
) -> None:
    """
    By the sandbox's rules and the SDKs' own models; nothing said is lost; nothing given is changed.
    """
    before = copy.deepcopy(messages)
    tools = TOOLS if with_tools else None
    if name == "gemini":
        call = call_of(messages, "gemini-3.8-flash", name, tools)
        body = to_gemini_body(call, call.messages, DOWNLOADER).body
        problem = gemini_rules.problem_of(body, "gemini-3.8-flash")
        _valid_for_google(body)
        sent: Any = body
    elif name == "bedrock":
        for model in (
            "global.anthropic.claude-sonnet-4-6",
            "mistral.mistral-large-3",
            "us.meta.llama4",
        ):
            call = call_of(messages, model, name, tools)
            request = to_request(call, call.messages, DOWNLOADER, native=True).body
            _valid_for_botocore(request)
            problem = bedrock_rules._problem(as_json(request), model)
            assert problem == "", (model, problem)
        sent = request
    else:
        vendor = VENDORS[name]
        call = call_of(messages, "gpt-5" if name == "openai" else "m", name, tools)
        made = to_openai_body(call, call.messages, vendor, stream=False, fetch=lambda url: url)
        problem = openai_rules._problem(made.body, name, openai_rules._VENDORS[name])
        sent = made.body
    assert problem == ""
    assert messages == before
    shown = visible(sent)
    for phrase in spoken(messages):
        assert (
            json.dumps(phrase, ensure_ascii=False)[1:-1] in shown
            or json.dumps(json.dumps(phrase, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1]
            in shown
            or _inside(phrase, shown)
        )
    assert json.loads(json.dumps(messages)) == before


def _inside(phrase: str, shown: str) -> bool:
    """A tool's text that is JSON goes to Gemini as a value."""
    try:
        return json.dumps(json.loads(phrase), ensure_ascii=False) in shown
    except ValueError:
        return False


_model: list[Any] = []


def _valid_for_botocore(request: dict[str, Any]) -> None:
    from botocore.session import Session
    from botocore.validate import ParamValidator

    if not _model:
        _model.append(
            Session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
        )
    report = ParamValidator().validate(request, _model[0])
    assert not report.has_errors(), report.generate_report()


def _valid_for_google(body: dict[str, Any]) -> None:
    from google.genai import types

    for content in body["contents"]:
        types.Content.model_validate(
            {**content, "parts": [_signed(part) for part in content["parts"]]}
        )


def _signed(part: dict[str, Any]) -> dict[str, Any]:
    skip = part.get("thoughtSignature") == SKIP_SIGNATURE
    return {
        name: value for name, value in part.items() if not (skip and name == "thoughtSignature")
    }


# ---- own state, byte for byte


def test_gemini_gets_its_signatures_back_on_their_parts() -> None:
    """
    The first of parallel calls, text parts, a trailing empty part; ids only when it issued them.
    """
    message = {
        "role": "assistant",
        "content": "ab",
        "extra_content": {
            "google": {
                "thought_signature": SIGNATURE,
                "parts": [{"text": "ab"}, {"text": "", "thought_signature": SIGNATURE}],
            }
        },
        "tool_calls": [
            {
                "id": "srv-1",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a": 1}'},
                "extra_content": {"google": {"thought_signature": SIGNATURE, "id": "srv-1"}},
            },
            {"id": "call_1", "type": "function", "function": {"name": "g", "arguments": ""}},
        ],
    }
    history = [
        {"role": "user", "content": "x"},
        message,
        {"role": "tool", "tool_call_id": "call_1", "content": "two"},
        {"role": "tool", "tool_call_id": "srv-1", "content": '{"one": 1}'},
    ]
    contents = contents_of(history, "gemini-3.8-flash")
    assert contents[1]["parts"] == [
        {"text": "ab"},
        {"text": "", "thoughtSignature": SIGNATURE},
        {
            "functionCall": {"id": "srv-1", "name": "f", "args": {"a": 1}},
            "thoughtSignature": SIGNATURE,
        },
        {"functionCall": {"name": "g", "args": {}}},
    ]
    assert contents[2]["parts"] == [
        {"functionResponse": {"id": "srv-1", "name": "f", "response": {"one": 1}}},
        {"functionResponse": {"name": "g", "response": {"output": "two"}}},
    ]


def test_foreign_calls_get_the_skip_signature_only_where_it_is_demanded() -> None:
    """In the current turn of Gemini 3; older turns and older models are left alone."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    old = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    contents = contents_of([*old, *old], "gemini-3.8-flash")
    signatures = [
        part.get("thoughtSignature")
        for content in contents
        for part in content["parts"]
        if "functionCall" in part
    ]
    assert signatures == [None, SKIP_SIGNATURE]
    contents = contents_of(old, "gemini-2.5-pro")
    assert "thoughtSignature" not in contents[1]["parts"][0]


def test_claude_gets_its_thoughts_back_first_and_unchanged() -> None:
    """Signed, empty but signed, and redacted; others get none of it."""
    blocks = [
        {"type": "thinking", "thinking": " spaces kept ", "signature": SIGNATURE},
        {"type": "thinking", "thinking": "", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": SIGNATURE},
        {"type": "thinking", "thinking": "unsigned"},
    ]
    history = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "t", "thinking_blocks": blocks},
        {"role": "user", "content": "y"},
    ]
    messages = converse_messages_of(history, "anthropic.claude-x")
    assert messages[1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": " spaces kept ", "signature": SIGNATURE}}},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": SIGNATURE}}},
        {"reasoningContent": {"redactedContent": base64.b64decode(SIGNATURE)}},
        {"text": "t"},
    ]
    messages = converse_messages_of(history, "amazon.nova-pro")
    assert messages[1]["content"] == [{"text": "t"}]


def test_ids_are_made_again_the_same_on_both_sides() -> None:
    """Mistral's nine characters, Bedrock's 64."""
    for model, mark in (
        ("mistral.x", "call_1"),
        ("anthropic.claude", "é" * 10),
        ("anthropic.claude", "x" * 65),
    ):
        made = tool_id(mark, model)
        assert made != mark
        assert made == tool_id(mark, model)
        assert len(made) <= (9 if "mistral" in model else 64)
    assert tool_id("call_1", "anthropic.claude") == "call_1"
