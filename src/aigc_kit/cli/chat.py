"""``aigc-kit chat``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from aigc_kit.cli import _failures, _providers, _terminal


@click.command("chat", short_help="Ask a question; without one, talk.")
@click.argument("prompt", required=False)
@click.option(
    "-p",
    "--provider",
    shell_complete=_providers.complete("chat"),
    help="A name, or name:model. Unset: AIGC_KIT_CHAT_PROVIDER, then the first with a key.",
)
@click.option("-m", "--model", help="Unset: the provider's variable, then its default.")
@click.option("-s", "--system", metavar="TEXT", help="The system message.")
@click.option(
    "-i",
    "--image",
    "images",
    multiple=True,
    metavar="IMAGE",
    help="An image for the model: a path or a URL. Repeat it for several.",
)
@click.option(
    "--schema", metavar="FILE|JSON", help="A JSON schema: the answer is JSON that satisfies it."
)
@click.option(
    "-t",
    "--tool",
    "tools",
    multiple=True,
    metavar="MODULE:FUNCTION",
    help="A Python function that the model may call. Repeat it for several.",
)
@click.option("--base-url", metavar="URL", help="Of a relay or a local server.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the call, such as temperature=0.2. Repeat it for several.",
)
@click.option("--timeout", type=float, help="Seconds for one answer.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is whole.")
@_terminal.json_option
@_terminal.session
def command(
    session: _terminal.Session, /, prompt: str | None, as_json: bool, no_stream: bool, **given: Any
) -> int:
    """Ask PROMPT and print the answer as it comes.

    Text on stdin is put behind the prompt. Without a prompt, on a terminal, it is a conversation:
    Ctrl-C stops an answer, Ctrl-D ends it.
    """
    from aigc_kit.errors import AIGCError

    asked = _question(prompt)
    try:
        conversation = _Conversation(session, given, as_json=as_json, streams=not no_stream)
    except AIGCError as error:
        raise _failures.failed(error, session, in_json=as_json) from None
    with conversation:
        if asked is not None:
            return conversation.ask(asked)
        return _interactive(conversation)


def _question(prompt: str | None) -> str | None:
    """
    The prompt with stdin behind it; None for a conversation.

    Raises:
        click.UsageError: there is neither a prompt nor a terminal nor text on stdin.
    """
    asked = None if prompt in (None, "-") else _terminal.plain_text(prompt or "")
    if sys.stdin is None or sys.stdin.isatty():
        return asked
    piped = "" if asked is not None and not _has_input() else sys.stdin.read()
    parts = [part for part in (asked, piped.strip("\n")) if part]
    if not parts:
        raise click.UsageError("no prompt: pass one, or pipe text into stdin")
    return "\n\n".join(parts)


def _has_input() -> bool:
    """Whether stdin is a file or a pipe: an open socket of a service manager may never end."""
    import stat

    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _interactive(conversation: _Conversation) -> int:
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - editing and history for input()
    while True:
        try:
            line = input("> ") if sys.stdout.isatty() else _prompted()
        except EOFError:
            _terminal.note("")
            return 0
        if not line.strip():
            continue
        try:
            conversation.ask(_terminal.plain_text(line))
        except KeyboardInterrupt:
            _terminal.note("\n(stopped)")
        except _failures.Finished:
            continue  # said; the next question may work


def _prompted() -> str:
    sys.stderr.write("> ")
    sys.stderr.flush()
    return input()


class _Conversation:
    """One client and its history."""

    def __init__(
        self, session: _terminal.Session, given: dict[str, Any], *, as_json: bool, streams: bool
    ) -> None:
        from aigc_kit import ChatClient

        provider = _providers.provider_or_default(
            given["provider"], "chat", "AIGC_KIT_CHAT_PROVIDER"
        )
        self._options = dict(_terminal.pairs(given["options"]))
        self._tools = [_tool(name) for name in given["tools"]]
        self._images = [_picture(name) for name in given["images"]]
        if given["schema"]:
            self._options["response_format"] = _schema(given["schema"])
        own = {
            name: given[name]
            for name in ("model", "base_url", "timeout")
            if given[name] is not None
        }
        self._client = ChatClient(provider, **own)
        self._session = session
        self._as_json = as_json
        self._streams = streams and not as_json and not given["schema"]
        self._messages: list[Any] = []
        self._in_line = False  # whether a piece of an answer was printed without its end
        if given["system"]:
            self._messages.append(
                {"role": "system", "content": _terminal.plain_text(given["system"])}
            )

    def __enter__(self) -> _Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, text: str) -> int:
        """One question and its answer; both stay in the history when it worked."""
        from aigc_kit.errors import AIGCError

        content: Any = text
        if self._images:
            content = [{"type": "text", "text": text}, *self._images]
        messages = [*self._messages, {"role": "user", "content": content}]
        self._in_line = False
        try:
            result = self._streamed(messages) if self._streams else self._whole(messages)
        except AIGCError as error:
            if self._in_line:
                _terminal.answer("")
            raise _failures.failed(error, self._session, in_json=self._as_json) from None
        self._images = []
        self._messages = result.messages or [*messages, result.message]
        return self._finished(result)

    def _whole(self, messages: list[Any]) -> Any:
        with _terminal.waiting(self._client.provider.name):
            if self._tools:
                return self._client.chat_with_tools(messages, self._tools, **self._options)
            return self._client.chat(messages, **self._options)

    def _streamed(self, messages: list[Any]) -> Any:
        ask: Callable[..., Any] = self._client.chat_stream
        extra: tuple[Any, ...] = ()
        if self._tools:
            ask, extra = self._client.chat_with_tools_stream, (self._tools,)
        with ask(messages, *extra, **self._options) as stream:
            chunks = iter(stream)
            with _terminal.waiting(self._client.provider.name):
                chunk = _next_visible(chunks)
            while chunk is not None:
                if chunk.tool is not None and chunk.tool.kind == "start":
                    _terminal.note(f"[{chunk.tool.call.name} {chunk.tool.call.arguments}]")
                if chunk.delta_content:
                    self._in_line = True
                    _terminal.answer(chunk.delta_content, end="")
                chunk = next(chunks, None)
        _terminal.answer("")
        self._in_line = False
        return stream.result

    def _finished(self, result: Any) -> int:
        blocked = result.finish_reason == "content_filter" or (
            result.refusal and not result.content
        )
        if self._as_json:
            self._document(result, ok=not blocked)
        elif not self._streams:
            _terminal.answer(result.content)
        for warning in result.warnings:
            _terminal.note(f"{_terminal.styled('note:', fg='yellow')} {warning.get('details', '')}")
        if blocked:
            _terminal.note(f"blocked by the vendor's filter {result.refusal}".rstrip())
            raise _failures.Finished(_failures.BLOCKED)
        if result.finish_reason == "length":
            _terminal.note(
                "the answer was cut at the limit of tokens: --option max_tokens=... raises it"
            )
            raise _failures.Finished(_failures.PARTIAL)
        return 0

    def _document(self, result: Any, *, ok: bool) -> None:
        usage = result.usage
        _terminal.record(
            {
                "ok": ok,
                "provider": result.provider,
                "model": result.model,
                "content": result.content,
                "reasoning": result.reasoning_content,
                "parsed": result.parsed,
                "tool_calls": [
                    {"id": call.id, "name": call.name, "arguments": call.arguments}
                    for call in result.tool_calls
                ],
                "finish_reason": result.finish_reason,
                "usage": {name: getattr(usage, name) for name in usage.__slots__},
                "cost": getattr(result, "cost", None),
                "request_id": result.request_id,
                "warnings": result.warnings,
            }
        )


def _next_visible(chunks: Any) -> Any:
    """The first chunk that shows something, or None."""
    return next((chunk for chunk in chunks if chunk.delta_content or chunk.tool is not None), None)


def _picture(text: str) -> dict[str, Any]:
    """
    Raises:
        click.UsageError: neither a URL nor a file.
    """
    if text.startswith(("http://", "https://", "data:")):
        return {"type": "image_url", "image_url": {"url": text}}
    path = Path(text).expanduser()
    if not path.is_file():
        raise click.UsageError(f"--image {text!r} is neither a URL nor a file")
    return {"type": "image_url", "image_url": {"url": path}}


def _schema(text: str) -> dict[str, Any]:
    """
    Raises:
        click.UsageError: neither a file nor a JSON object.
    """
    source = _terminal.plain_text(text)
    if not source.lstrip().startswith("{"):
        try:
            source = Path(text).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"--schema {text!r}: {error.strerror or error}") from None
    try:
        schema = json.loads(source)
    except ValueError as error:
        raise click.UsageError(f"--schema is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise click.UsageError("--schema must be a JSON object")
    name = "".join(
        char for char in str(schema.get("title", "")) if char.isascii() and char.isalnum()
    )
    return {"type": "json_schema", "json_schema": {"name": name or "answer", "schema": schema}}


def _tool(text: str) -> Any:
    """
    A function by ``module:name``; modules of the working directory are found.

    Raises:
        click.UsageError: there is none.
    """
    module, colon, name = text.partition(":")
    if not colon or not module or not name:
        raise click.UsageError(f"--tool must be MODULE:FUNCTION, got {text!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = import_module(module)
    except ImportError as error:
        raise click.UsageError(f"--tool {text!r}: {error}") from None
    function = getattr(found, name, None)
    if not callable(function):
        raise click.UsageError(f"--tool {text!r}: {module} has no function {name!r}")
    return function
