"""
Siblings of the structured output that users reported: other wrappings, other classes, other
dialects.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import re
import uuid
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter

from aigc_kit import ChatClient, errors
from tests.vendor import (
    ASK,
    TOOLS,
    USAGE_CHUNK,
    Response,
    Vendor,
    ask,
    calling,
    completion,
    converse_response,
    delta,
    error,
    events,
    gemini_response,
    outcome,
    read,
    refused,
    tool_call,
    unless_refused,
)


class Person(BaseModel):
    name: str
    age: int


ADA = '{"name": "Ada", "age": 36}'
PERSON = Person(name="Ada", age=36)


def pieces(text: str, size: int = 3) -> Response:
    """A stream of the text in small pieces."""
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    return events(*(delta(content=piece) for piece in cut), delta("stop"), USAGE_CHUNK)


def answered(text: Any, kind: Any = Person, provider: str = "openai_compat", **options: Any) -> Any:
    """The value of a plain answer that needed one request."""
    with Vendor(completion(text)) as vendor:
        result = vendor.client(provider, **options).chat(ASK, response_format=kind)
    assert len(vendor.requests) == 1
    return result.parsed


# ---- siblings of <think> tags

THOUGHTS = {
    "blank before it": ("\n <think>why</think>Hello", "Hello", "why"),
    "empty": ("<think>\n\n</think>\n\nHello", "Hello", ""),
    "over lines": ("<think>\nfirst\nsecond\n</think>\nHello", "Hello", "first\nsecond"),
    "with a tag inside": (
        "<think>use <b>bold</b> and {x}</think>Hello",
        "Hello",
        "use <b>bold</b> and {x}",
    ),
    "and later the word": ("<think>why</think>Say <think> twice", "Say <think> twice", "why"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("text", "content", "reasoning"), THOUGHTS.values(), ids=THOUGHTS)
def test_a_think_tag_at_the_head_is_taken_off_however_it_comes(
    text: str, content: str, reasoning: str, stream: bool
) -> None:
    with Vendor(pieces(text) if stream else completion(text)) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert (result.content.strip(), result.reasoning_content.strip()) == (content, reasoning)


def test_the_chunks_of_a_think_tag_are_parted_as_the_result_is() -> None:
    """However the tags are cut, the result is what was shown."""
    with (
        Vendor(pieces("<think>why not</think>\n\nHello <b>", 2)) as vendor,
        vendor.client().chat_stream(ASK) as stream,
    ):
        chunks = list(stream)
    shown = [
        "".join(getattr(chunk, name) for chunk in chunks)
        for name in ("delta_content", "delta_reasoning")
    ]
    assert shown == [stream.result.content, stream.result.reasoning_content]
    assert [text.strip() for text in shown] == ["Hello <b>", "why not"]


@pytest.mark.parametrize(
    "text", ["<think", "<thinking about it", "< think>x", "Write <think>a</think> here.", "<thin"]
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_what_is_no_think_tag_at_the_head_is_text(text: str, stream: bool) -> None:
    with Vendor(pieces(text, 2) if stream else completion(text)) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert (result.content, result.reasoning_content) == (text, "")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_nothing_of_a_think_tag_that_never_ends_is_lost(stream: bool) -> None:
    text = "<think> is what this model opens with."
    with Vendor(pieces(text) if stream else completion(text)) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert "is what this model opens with." in result.content + result.reasoning_content


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_field_for_reasoning_beside_a_think_tag_loses_nothing(stream: bool) -> None:
    chunks = events(
        delta(reasoning_content="field"), delta(content="<think>tag</think>Hello"), delta("stop")
    )
    plain = completion("<think>tag</think>Hello", reasoning_content="field")
    with Vendor(chunks if stream else plain) as vendor:
        result = ask(vendor.client(), stream=stream)
    assert result.content.strip().endswith("Hello")
    assert "field" in result.reasoning_content
    assert "tag" in result.reasoning_content + result.content


def test_json_behind_a_closing_think_tag_alone_is_parsed() -> None:
    """
    Templates of DeepSeek R1 and Qwen open the tag in the prompt. Source:
    https://github.com/vllm-project/vllm/issues/13125
    """
    assert answered(f"hm {{x}}\n</think>\n\n{ADA}") == PERSON


def test_the_thoughts_of_minimax_go_back_with_their_tool_turn() -> None:
    """It wants the whole assistant message. Source: litellm 1.110.2, read 2026-11-25"""
    first = calling(tool_call(), content="<think>\nplan\n</think>\n\n")
    with Vendor(first, completion("done")) as vendor:
        chat = vendor.client(model="MiniMax-M2")
        chat.chat_with_tools(ASK, TOOLS, tool_executor=lambda name, text: "22")
    turn = next(message for message in vendor.body["messages"] if message["role"] == "assistant")
    assert "plan" in json.dumps(turn)


# ---- siblings of words around the JSON

FENCE = "```"
WRAPPED = {
    "a byte order mark": "\ufeff" + ADA,
    "a fence without a language": f"{FENCE}\n{ADA}\n{FENCE}",
    "a fence in capitals": f"{FENCE}JSON\n{ADA}\n{FENCE}",
    "a fence that never ends": f"{FENCE}json\n{ADA}",
    "tildes": f"~~~json\n{ADA}\n~~~",
    "braces in the preamble": f"I use {{placeholders}} like {{x}}.\n{ADA}",
    "an XML tag": f"<answer>{ADA}</answer>",
    "the same with other whitespace": ADA + "\n" + '{"name":"Ada","age":36}',
    "the same in another order": ADA + '{"age": 36, "name": "Ada"}',
    "brackets in the preamble": f"See [1] and [docs](https://x).\n{ADA}",
    "quotes in the preamble": f'The "answer" is: {ADA}.',
}


@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED)
def test_the_value_is_found_in_whatever_stands_around_it(text: str) -> None:
    assert answered(text) == PERSON


@pytest.mark.parametrize(
    ("provider", "model", "response"),
    [
        ("deepseek", "deepseek-flash", completion),
        ("gemini", "gemini-3.8-flash", gemini_response),
        ("bedrock", "us.meta.llama4-maverick-17b-instruct-v1:0", converse_response),
    ],
    ids=["deepseek", "gemini", "bedrock"],
)
def test_the_value_is_found_in_every_dialect(provider: str, model: str, response: Any) -> None:
    with Vendor(response(f"Here you are:\n{FENCE}json\n{ADA}\n{FENCE}\nBye!")) as vendor:
        result = vendor.client(provider, model=model).chat(ASK, response_format=Person)
    assert result.parsed == PERSON
    assert len(vendor.requests) == 1


def test_an_object_without_a_schema_is_found_in_its_words() -> None:
    assert answered(f'Sure!\n{FENCE}json\n{{"a": [1]}}\n{FENCE}', {"type": "json_object"}) == {
        "a": [1]
    }


class Loose(BaseModel):
    """Fits many an object."""

    x: int = 0


@pytest.mark.parametrize(
    "text",
    [
        'Here: {name: "n", point: {"x": 1}}',
        '{\n  // the result\n  "point": {"x": 1}\n}',
        '{ /* the result */ "point": {"x": 1} }',
        '{"point": {"x": 1}, "more": ',
        '{"point": {"x": 1},, "more": 2}',
    ],
)
def test_an_object_inside_of_broken_json_is_never_the_answer(text: str) -> None:
    """It fits, and is another object than the one that was meant."""
    with Vendor(completion(text), completion('{"x": 5}')) as vendor:
        result = vendor.client().chat(ASK, response_format=Loose)
    assert result.parsed == Loose(x=5)
    assert len(vendor.requests) == 2


@pytest.mark.parametrize(
    "before",
    ["The form is {name: string}.", "As in {x} and [1, p. 5]:", "Given {a: {b: c}}, I say"],
)
def test_braces_in_the_words_before_the_value_cost_no_repair(before: str) -> None:
    assert answered(f"{before} {ADA}") == PERSON


def test_a_fence_inside_a_value_is_part_of_the_value() -> None:
    text = json.dumps({"name": f"{FENCE}json\n{{}}\n{FENCE}", "age": 1})
    assert answered(text).name == f"{FENCE}json\n{{}}\n{FENCE}"
    assert answered(f"Here:\n{text}").age == 1


def test_content_that_is_already_an_object_is_accepted() -> None:
    assert answered({"name": "Ada", "age": 36}) == PERSON


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_not_json(number: str, stream: bool) -> None:
    text = f'{{"value": {number}}}'
    wanted = {"type": "json_object"}
    with Vendor(pieces(text) if stream else completion(text)) as vendor:
        result = outcome(lambda: ask(vendor.client(), stream=stream, response_format=wanted))
    assert isinstance(result, errors.StructuredOutputError)


@pytest.mark.parametrize(
    "text",
    [
        "I cannot answer that.",
        f"Either {ADA} or " + '{"name": "Bob", "age": 1}',
        '{"name": "Ada"',
        "[1, 2]",
        "",
    ],
    ids=["no JSON", "two values", "cut", "a list", "nothing"],
)
def test_what_is_not_one_value_is_asked_for_again_and_then_an_error(text: str) -> None:
    with Vendor(completion(text), completion(ADA)) as vendor:
        assert vendor.client().chat(ASK, response_format=Person).parsed == PERSON
    with Vendor(completion(text)) as vendor:
        result = outcome(lambda: vendor.client().chat(ASK, response_format=Person))
    assert isinstance(result, errors.StructuredOutputError | errors.InvalidReplyError)


# ---- siblings of a list as the answer


class Node(BaseModel):
    """A class that names itself: its schema has a ``$ref`` at the root."""

    value: int
    children: list[Node] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Scores(RootModel[dict[str, int]]):
    pass


class Pet(RootModel[Annotated[Cat | Dog, Field(discriminator="kind")]]):
    pass


@dataclasses.dataclass
class Point:
    x: int
    y: int


def schema_of(body: dict[str, Any]) -> dict[str, Any]:
    """The schema of a request: native, or the one in its system prompt."""
    native = (body.get("response_format") or {}).get("json_schema")
    if native:
        return dict(native["schema"])
    text = "\n".join(str(message["content"]) for message in body["messages"])
    for found in re.finditer(r"\{", text):
        try:
            schema, _ = json.JSONDecoder().raw_decode(text, found.start())
        except ValueError:
            continue
        if isinstance(schema, dict) and {"type", "$ref", "anyOf", "oneOf", "$defs"}.intersection(
            schema
        ):
            return schema
    return {}


def answering(value: Any) -> Any:
    """
    A vendor of JSON objects: it wraps the value as the schema asks, and refuses a root that is not
    an object.
    """

    def script(body: Any, number: int) -> Response:
        schema = schema_of(body)
        wants_json = (body.get("response_format") or {}).get("type", "") in (
            "json_schema",
            "json_object",
        )
        if wants_json and schema.get("type") != "object":
            return error(
                400, "Invalid schema for response_format: schema must be of 'type: \"object\"'."
            )
        names = list(schema.get("properties", {}))
        is_whole = isinstance(value, dict) and set(value) == set(names)
        wrapped = value if is_whole or not names else {names[0]: value}
        return completion(json.dumps(wrapped, ensure_ascii=False))

    return script


ROOTS = {
    "list of models": (list[Person], [{"name": "Ada", "age": 36}], [PERSON]),
    "list of texts": (list[str], ["a", "b"], ["a", "b"]),
    "list of numbers": (list[int], [1, 2], [1, 2]),
    "an empty list": (list[Person], [], []),
    "root of a map": (Scores, {"a": 1}, Scores({"a": 1})),
    "a map": (dict[str, int], {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    "a number": (RootModel[int], 7, RootModel[int](7)),
    "an enum": (RootModel[Size], "small", RootModel[Size](Size.SMALL)),
    "a union": (Pet, {"kind": "cat", "lives": 9}, Pet(Cat(kind="cat", lives=9))),
    "a class that names itself": (
        Node,
        {"value": 1, "children": [{"value": 2, "children": []}]},
        Node(value=1, children=[Node(value=2)]),
    ),
}


@pytest.mark.parametrize("provider", ["openai", "deepseek"])
@pytest.mark.parametrize(("kind", "value", "expected"), ROOTS.values(), ids=ROOTS)
def test_a_root_that_is_no_plain_object_is_wrapped_and_unwrapped_or_refused(
    provider: str, kind: Any, value: Any, expected: Any
) -> None:
    with Vendor(answering(value)) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        chat = vendor.client(provider, **model)
        result = unless_refused(lambda: chat.chat(ASK, response_format=kind))
    assert refused(result, vendor) or result.parsed == expected


def test_a_list_in_a_dict_format_is_wrapped_and_unwrapped_or_refused() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    wanted = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": schema}}
    with Vendor(answering([1, 2])) as vendor:
        chat = vendor.client("openai", model="gpt-4o")
        result = unless_refused(lambda: chat.chat(ASK, response_format=wanted))
    assert refused(result, vendor) or result.parsed == [1, 2]


def test_a_streamed_list_is_unwrapped_or_refused() -> None:
    def script(body: Any, number: int) -> Response:
        field = next(iter(schema_of(body).get("properties", {"?": {}})))
        return pieces(json.dumps({field: [{"name": "Ada", "age": 36}]}))

    with Vendor(script) as vendor:
        chat = vendor.client("openai", model="gpt-4o")
        result = unless_refused(lambda: read(chat.chat_stream(ASK, response_format=list[Person])))
    assert refused(result, vendor) or result.parsed == [PERSON]


def test_an_answer_that_is_a_bare_list_is_taken_too() -> None:
    """A model that ignores the wrapping has answered all the same."""
    with Vendor(completion(f"[{ADA}]")) as vendor:
        result = unless_refused(
            lambda: vendor.client("deepseek").chat(ASK, response_format=list[Person])
        )
    assert refused(result, vendor) or (result.parsed == [PERSON] and len(vendor.requests) == 1)


@pytest.mark.parametrize(
    "kind", [Point, TypeAdapter(list[int]), int, str, "Person", Person(name="x", age=1)], ids=str
)
def test_a_format_that_is_no_class_of_pydantic_works_or_is_refused_clearly(kind: Any) -> None:
    with Vendor(answering({"x": 1, "y": 2})) as vendor:
        result = outcome(
            lambda: vendor.client("openai", model="gpt-4o").chat(ASK, response_format=kind)
        )
    assert (
        refused(result, vendor)
        or isinstance(result, errors.StructuredOutputError)
        or result.parsed is not None
    )


# ---- siblings of names of schemas

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    data: T


def renamed(name: str) -> type[Person]:
    return type(name, (Person,), {"__module__": __name__})


NAME = r"[a-zA-Z0-9_-]{1,64}"


def knowing_names(body: Any, number: int) -> Response:
    name = body["response_format"].get("json_schema", {}).get("name", "")
    if not re.fullmatch(NAME, name):
        return error(
            400, "Invalid 'response_format.json_schema.name': string does not match pattern."
        )
    return completion(json.dumps({"name": "Ada", "age": 36, "data": [{"name": "Ada", "age": 36}]}))


@pytest.mark.parametrize(
    "kind",
    [
        Page[list[Person]],
        Page[dict[str, int] | list[Person]],
        renamed("_"),
        renamed("Ünïcode"),
        renamed("角" * 80),
    ],
    ids=["nested", "a union", "an underscore", "accents", "long and Chinese"],
)
@pytest.mark.parametrize("provider", ["openai", "kimi", "doubao"])
def test_every_class_name_is_legal_at_every_vendor(kind: Any, provider: str) -> None:
    with Vendor(knowing_names) as vendor:
        model = {"model": "gpt-4o"} if provider == "openai" else {}
        result = vendor.client(provider, **model).chat(ASK, response_format=kind)
    assert isinstance(result.parsed, kind)


def test_a_class_name_is_legal_on_bedrock() -> None:
    with Vendor(converse_response('{"data": [{"name": "Ada", "age": 36}]}')) as vendor:
        result = vendor.client("bedrock").chat(ASK, response_format=Page[list[Person]])
    assert isinstance(result.parsed, Page[list[Person]])
    wish = vendor.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert re.fullmatch(NAME, wish.get("name", "x"))


@pytest.mark.parametrize(
    "name", ["my schema!", "角色", "x" * 90], ids=["a space", "Chinese", "too long"]
)
def test_an_illegal_name_in_a_dict_format_is_mended_or_refused(name: str) -> None:
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": Person.model_json_schema()},
    }
    with Vendor(knowing_names) as vendor:
        chat = vendor.client("openai", model="gpt-4o")
        result = unless_refused(lambda: chat.chat(ASK, response_format=wanted))
    assert refused(result, vendor) or result.parsed["name"] == "Ada"


# ---- whatever pydantic allows: strict models, patterns, drafts


class Strict(BaseModel):
    """In strict mode Python's values and JSON's differ: a date is a text in JSON."""

    model_config = ConfigDict(strict=True)
    day: datetime.date
    id: uuid.UUID
    size: Size
    pair: tuple[int, str]
    tags: set[str]
    part: float


STRICT = json.dumps(
    {
        "day": "2026-11-26",
        "id": "00000000-0000-0000-0000-000000000001",
        "size": "small",
        "pair": [1, "a"],
        "tags": ["x"],
        "part": 1,
    }
)


@pytest.mark.parametrize("provider", ["openai_compat", "deepseek", "gemini", "bedrock"])
def test_a_strict_model_is_validated_as_json(provider: str) -> None:
    responses = {"gemini": gemini_response(STRICT), "bedrock": converse_response(STRICT)}
    with Vendor(responses.get(provider, completion(STRICT))) as vendor:
        result = vendor.client(provider).chat(ASK, response_format=Strict)
    assert (result.parsed.day, result.parsed.pair) == (datetime.date(2026, 11, 26), (1, "a"))
    assert len(vendor.requests) == 1


class Aliased(BaseModel):
    user_name: str = Field(alias="userName")


class Coded(BaseModel):
    code: str = Field(pattern=r"^[A-Z]{2}\d+$")


def test_an_alias_is_the_name_in_the_json() -> None:
    assert answered('{"userName": "Ada"}', Aliased).user_name == "Ada"


def test_a_pattern_of_pydantic_is_checked_here() -> None:
    assert answered('{"code": "AB12"}', Coded).code == "AB12"


def dict_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema}}


SCHEMAS = {
    "a Unicode class": {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": r"^\p{L}+$"}},
    },
    "a named group of ECMAScript": {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": r"^(?<first>\w+)$"}},
    },
    "draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "definitions": {"n": {"type": "string"}},
        "properties": {"name": {"$ref": "#/definitions/n"}},
    },
    "draft 4": {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}},
    },
    "a tuple of draft 7": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}
        },
    },
    "a word of a vendor": {
        "type": "object",
        "properties": {"name": {"type": "string", "x-order": 1}},
        "propertyOrdering": ["name"],
    },
    "nullable": {"type": "object", "properties": {"note": {"type": "string", "nullable": True}}},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_that_vendors_take_is_not_refused_here(schema: dict[str, Any]) -> None:
    assert (
        answered('{"name": "Ada", "age": 36}', dict_format(schema), "openai", model="gpt-4o")[
            "name"
        ]
        == "Ada"
    )


def test_a_schema_that_is_none_is_still_refused_before_sending() -> None:
    with Vendor(completion("{}")) as vendor:
        chat: ChatClient = vendor.client()
        result = outcome(lambda: chat.chat(ASK, response_format=dict_format({"type": "objekt"})))
    assert refused(result, vendor)


class Named(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("content", "name"),
    [('"{\\"name\\": \\"x\\"}"', "x"), ('{"name": "a\nb"}', "a\nb")],
    ids=["encoded twice", "raw line break"],
)
def test_nearly_json_costs_no_second_request(content: str, name: str) -> None:
    with Vendor(completion(content)) as vendor:
        result = vendor.client().chat(ASK, response_format=Named)
        assert len(vendor.requests) == 1
    assert result.parsed == Named(name=name)
    assert json.loads(result.content) == {"name": name}
