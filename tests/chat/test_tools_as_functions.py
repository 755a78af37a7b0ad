"""
Python functions and pydantic models as tools: their schema, their arguments, and what is refused.
"""

from __future__ import annotations

import datetime
import enum
import functools
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from aigc_kit import errors
from aigc_kit.chat.functions import FunctionTool, as_tool
from tests.vendor import (
    ASK,
    TOOLS,
    Vendor,
    calling,
    completion,
    converse_response,
    features,
    function_call,
    gemini_response,
    refused,
    tool_call,
    tool_use,
    unless_refused,
)


class Unit(enum.Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


class Place(BaseModel):
    """Where to look."""

    city: str
    country: str = "FR"


def forecast(
    place: Place,
    days: Annotated[int, Field(ge=1, le=14, description="how far ahead")] = 3,
    unit: Unit = Unit.CELSIUS,
    since: datetime.date | None = None,
    *,
    detail: Literal["low", "high"] = "low",
) -> str:
    """
    The forecast for a place.

    Of the national service.

    Args:
        place: the city and
            its country.
        unit (Unit, optional): of the temperature.

    Returns:
        Words.
    """
    return f"{type(place).__name__} {place.city} {days} {unit.name} {since!r} {detail}"


def declared(*tools: Any) -> list[dict[str, Any]]:
    """The tools as they are sent."""
    with Vendor(completion("ok")) as vendor:
        vendor.client().chat(ASK, tools=list(tools))
    return [each["function"] for each in vendor.body["tools"]]


def ran(function: Any, arguments: str, **options: Any) -> Any:
    """(what the model is told, the result) of one call of the function."""
    with Vendor(calling(tool_call(function.__name__, arguments)), completion("done")) as vendor:
        result = vendor.client().chat_with_tools(ASK, [function], **options)
    return vendor.body["messages"][-1]["content"], result


# ---- the schema


def test_a_functions_signature_and_docstring_are_its_declaration() -> None:
    (found,) = declared(forecast)
    properties = found["parameters"]["properties"]
    assert (found["name"], found["description"]) == (
        "forecast",
        "The forecast for a place.\n\nOf the national service.",
    )
    assert found["parameters"]["required"] == ["place"]
    assert properties["days"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 14,
        "default": 3,
        "description": "how far ahead",
    }
    assert properties["place"]["description"] == "the city and its country."
    assert properties["unit"]["description"] == "of the temperature."
    assert properties["detail"]["enum"] == ["low", "high"]


def test_parameters_of_rest_docstrings_are_described() -> None:
    def look(city: str, days: int = 1) -> str:
        """
        Look.

        :param city: where to
            look
        :param int days: how far
        :returns: words
        """
        return city

    (found,) = declared(look)
    described = {
        name: each["description"] for name, each in found["parameters"]["properties"].items()
    }
    assert found["description"] == "Look."
    assert described == {"city": "where to look", "days": "how far"}


def test_names_that_clash_with_pydantics_own_are_parameters_like_others() -> None:
    def save(schema: str, model_dump: str, _x: int = 1, json: bool = False) -> str:
        return f"{schema} {model_dump} {_x} {json}"

    assert ran(save, '{"schema": "a", "model_dump": "b", "_x": 2}')[0] == "a b 2 False"


def test_a_method_is_a_tool_without_its_self() -> None:
    class Counter:
        def __init__(self) -> None:
            self.total = 0

        def add(self, number: int) -> int:
            """Add."""
            self.total += number
            return self.total

    counter = Counter()
    assert ran(counter.add, '{"number": 4}')[0] == "4"
    assert counter.total == 4


def test_one_function_needs_no_list() -> None:
    with Vendor(calling(tool_call("look", "{}")), completion("done")) as vendor:
        assert vendor.client().chat_with_tools(ASK, lambda_named_look()).content == "done"


def lambda_named_look() -> Any:
    def look() -> str:
        return "sun"

    return look


def test_a_function_without_parameters_has_an_empty_schema() -> None:
    (found,) = declared(lambda_named_look())
    assert found["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize("provider", ["openai_compat", "gemini", "bedrock"])
def test_functions_run_on_every_dialect(provider: str) -> None:
    args = {"place": {"city": "Paris"}, "since": "2026-01-02"}
    first = {
        "openai_compat": calling(tool_call("forecast", json.dumps(args))),
        "gemini": gemini_response(function_call(args, name="forecast")),
        "bedrock": converse_response(tool_use(args, name="forecast"), stop="tool_use"),
    }
    last = {
        "openai_compat": completion("done"),
        "gemini": gemini_response("done"),
        "bedrock": converse_response("done"),
    }
    with Vendor(first[provider], last[provider]) as vendor:
        result = vendor.client(provider).chat_with_tools(ASK, [forecast])
    assert result.content == "done"
    assert result.messages[-2]["content"] == "Place Paris 3 CELSIUS datetime.date(2026, 1, 2) low"


# ---- arguments


def test_arguments_come_as_the_types_that_were_declared() -> None:
    @dataclass
    class Point:
        x: float
        y: float

    def move(points: list[Point], when: datetime.datetime, tags: set[str]) -> str:
        return f"{[type(each).__name__ for each in points]} {when.year} {sorted(tags)}"

    text = '{"points": [{"x": 1, "y": 2}], "when": "2026-11-26T10:00:00", "tags": ["b", "a", "b"]}'
    move.__annotations__ = {
        "points": list[Point],
        "when": datetime.datetime,
        "tags": set[str],
        "return": str,
    }
    assert ran(move, text)[0] == "['Point'] 2026 ['a', 'b']"


@pytest.mark.parametrize("on_tool_error", ["tell", "raise"])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("{}", "place"),
        ('{"place": {"city": 5}}', "place.city"),
        ('{"place": {"city": "a"}, "days": 99}', "days"),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model(
    arguments: str, named: str, on_tool_error: str
) -> None:
    """They are the model's mistake, whatever is to happen with exceptions of the tool."""
    told, result = ran(forecast, arguments, on_tool_error=on_tool_error)
    assert named in json.loads(told)["error"]
    assert "pydantic.dev" not in told
    assert features(result) == ["tool"]


def test_a_tools_own_exception_comes_out_where_it_was_asked_for() -> None:
    def look(city: str) -> str:
        raise ValueError(f"no such city: {city}")

    assert "no such city" in ran(look, '{"city": "x"}')[0]
    with pytest.raises(ValueError, match="no such city"):
        ran(look, '{"city": "x"}', on_tool_error="raise")


def test_a_default_is_the_functions_own_object() -> None:
    seen: list[Any] = []
    default: list[str] = []

    def look(tags: list[str] = default) -> str:
        seen.append(tags)
        return ""

    ran(look, "{}")
    assert seen[0] is default


# ---- what is refused


async def later(city: str) -> str:
    return city


async def many(city: str) -> Any:
    yield city


def some(*cities: str) -> str:
    return ""


def others(**cities: str) -> str:
    return ""


def only(city: str, /) -> str:
    return city


def untyped(file: Response_) -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


def opaque(file: memoryview) -> str:
    return ""


@pytest.mark.parametrize(
    "function", [later, many, some, others, only, untyped, opaque, lambda city: city]
)
def test_a_function_that_cannot_be_a_tool_is_refused_before_anything_is_sent(function: Any) -> None:
    with Vendor(completion("ok")) as vendor:
        for call in (
            lambda: vendor.client().chat(ASK, tools=[function]),
            lambda: vendor.client().chat_with_tools(ASK, [function]),
            lambda: next(iter(vendor.client().chat_with_tools_stream(ASK, [function]))),
        ):
            assert refused(unless_refused(call), vendor)


def test_two_functions_of_one_name_are_refused() -> None:
    with Vendor(completion("ok")) as vendor:
        result = unless_refused(
            lambda: vendor.client().chat_with_tools(ASK, [lambda_named_look(), lambda_named_look()])
        )
    assert refused(result, vendor)
    assert "look" in str(result)


def test_a_described_tool_without_an_executor_is_refused_with_its_name() -> None:
    with (
        Vendor(completion("ok")) as vendor,
        pytest.raises(errors.InvalidInputError, match="get_weather"),
    ):
        vendor.client().chat_with_tools(ASK, [*TOOLS, lambda_named_look()])


def test_functions_and_described_tools_work_together() -> None:
    with Vendor(calling(tool_call(), tool_call("look", "{}", "c2")), completion("done")) as vendor:
        result = vendor.client().chat_with_tools(
            ASK, [*TOOLS, lambda_named_look()], tool_executor=lambda name, text: f"{name} {text}"
        )
    told = [message["content"] for message in result.messages if message["role"] == "tool"]
    assert told == ['get_weather {"city": "Paris"}', "sun"]


# ---- a pydantic model


def test_a_pydantic_model_is_a_tool_with_its_fields() -> None:
    (found,) = declared(Place)
    assert (found["name"], found["description"]) == ("Place", "Where to look.")
    assert found["parameters"]["required"] == ["city"]
    assert set(found["parameters"]["properties"]) == {"city", "country"}


def test_the_call_of_a_model_goes_to_the_executor() -> None:
    with Vendor(calling(tool_call("Place", '{"city": "Rome"}')), completion("done")) as vendor:
        result = vendor.client().chat_with_tools(
            ASK, [Place], tool_executor=lambda name, text: Place.model_validate_json(text)
        )
    assert json.loads(result.messages[-2]["content"]) == {"city": "Rome", "country": "FR"}


def test_a_model_without_an_executor_is_refused() -> None:
    with Vendor(completion("ok")) as vendor, pytest.raises(errors.InvalidInputError, match="Place"):
        vendor.client().chat_with_tools(ASK, [Place])


class Thermometer:
    """Not the documentation of the tool."""

    name: str = "t"

    def __call__(self, city: str, scale: float = 1.0) -> str:
        """How warm it is there."""
        return f"{city} {scale}"


def between(low: int, high: int, step: int = 1) -> str:
    """A number between two others."""
    return f"{low} {high} {step}"


@pytest.mark.parametrize(
    ("function", "name", "arguments", "result"),
    [
        (functools.partial(between, high=9), "between", {"low": 1}, "1 9 1"),
        (functools.partial(functools.partial(between, 5), 7), "between", {"step": 2}, "5 7 2"),
        (Thermometer(), "Thermometer", {"city": "Rome", "scale": 2.5}, "Rome 2.5"),
        (functools.lru_cache(between), "between", {"low": 1, "high": 2}, "1 2 1"),
    ],
)
def test_objects_that_are_called_are_tools(
    function: Any, name: str, arguments: dict[str, Any], result: str
) -> None:
    made = as_tool(function)
    assert isinstance(made, FunctionTool)
    assert made.tool["function"]["name"] == name
    assert made.tool["function"]["description"]
    assert set(arguments) <= set(made.tool["function"]["parameters"]["properties"])
    assert made.run(json.dumps(arguments)) == result
