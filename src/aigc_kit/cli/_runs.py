"""What a batch came to, for people and as an exit code."""

from __future__ import annotations

from typing import Any

from aigc_kit import errors
from aigc_kit.cli import _terminal
from aigc_kit.cli._failures import FAILED, INTERRUPTED, PAID, PARTIAL, code_of

_WORDS = {
    "en": {
        "counts": "{done} done, {failed} failed, {unknown} unknown, {not_run} not run",
        "skipped": "{skipped} of them were done before",
        "cost": "cost: {costs}",
        "perhaps": "perhaps charged without a result: at most {costs}",
        "without": "{n} without a known price",
        "errors": "errors: {errors}",
        "unknown": "{n} outcomes are unknown: they may have been billed. Look at the vendor's console;"
        " --retry-ambiguous pays for them again",
        "paid": "{n} images are paid for and wait in the journal: --resume stores them",
        "rest": "--resume runs the rest, and again what failed without a charge",
        "collect": "{n} jobs are at the vendor: --resume --vendor-batch collects them",
        "learned": "the vendors' 429s leave {rates}",
    },
    "zh": {
        "counts": "完成 {done}，失败 {failed}，结果未知 {unknown}，未运行 {not_run}",
        "skipped": "其中 {skipped} 个之前已完成",
        "cost": "费用：{costs}",
        "perhaps": "可能已计费但没有结果：最多 {costs}",
        "without": "{n} 个价格未知",
        "errors": "错误：{errors}",
        "unknown": "{n} 个任务结果未知，可能已计费。请先查看厂商控制台；--retry-ambiguous 会再次付费",
        "paid": "{n} 张图片已付费，保存在日志目录中：用 --resume 完成上传",
        "rest": "用 --resume 运行剩余任务，并重试未计费的失败任务",
        "collect": "{n} 个任务在厂商处：用 --resume --vendor-batch 取回",
        "learned": "根据 429 学到的速率：{rates}",
    },
}


def tell(summary: Any, language: str) -> None:
    """The summary on stderr."""
    words = _WORDS[language if language in _WORDS else "en"]
    line = words["counts"].format(**vars(summary))
    if summary.skipped:
        line += f" ({words['skipped'].format(skipped=summary.skipped)})"
    _terminal.note(line)
    if summary.costs:
        without = f" ({words['without'].format(n=summary.without_cost)})"
        told = words["cost"].format(costs=_amounts(summary.costs))
        _terminal.note(told + without * bool(summary.without_cost))
    if summary.perhaps:
        _terminal.note(words["perhaps"].format(costs=_amounts(summary.perhaps)))
    if summary.errors:
        found = sorted(summary.errors.items(), key=lambda entry: -entry[1])
        told = ", ".join(f"{kind} {count}" for kind, count in found)
        _terminal.note(words["errors"].format(errors=told))
    if summary.learned:
        rates = ", ".join(f"{name} {rate:g}/min" for name, rate in summary.learned.items())
        _terminal.note(words["learned"].format(rates=rates))
    _advise(summary, words, language)


def _advise(summary: Any, words: dict[str, str], language: str) -> None:
    for note in summary.notes:
        _terminal.note(f"{_terminal.styled('note:', fg='yellow')} {note}")
    if summary.stopped:
        _terminal.note(f"{_terminal.styled('error:', fg='red', bold=True)} {summary.stopped}")
    hints = []
    if summary.cause and summary.cause.get("hint"):
        hints.append(str(summary.cause["hint"]))
    if summary.unknown:
        hints.append(words["unknown"].format(n=summary.unknown))
    if summary.paid_waiting:
        hints.append(words["paid"].format(n=summary.paid_waiting))
    if summary.at_vendor:
        hints.append(words["collect"].format(n=summary.at_vendor))
    elif not summary.paid_waiting and (summary.not_run or summary.failed):
        hints.append(words["rest"])
    for hint in hints:
        _terminal.note(f"{_terminal.styled('hint:', fg='cyan', bold=True)} {hint}")


def _amounts(costs: dict[str, dict[str, float]]) -> str:
    return ", ".join(
        f"{provider} {amount:.12f}".rstrip("0").rstrip(".") + f" {currency}"
        for provider, amounts in costs.items()
        for currency, amount in amounts.items()
    )


def exit_code(summary: Any, *, waits: bool = True) -> int:
    """
    0 when every job is done; see ``docs/command-line.md``.

    Args:
        waits: False where it was enough to submit the jobs.
    """
    if summary.interrupted:
        return INTERRUPTED
    wrong = summary.failed or summary.unknown or summary.paid_waiting or summary.stopped
    if summary.ok or not (waits or wrong):
        return 0
    if summary.done:
        return PARTIAL
    if summary.unknown or summary.paid_waiting:
        return PAID
    named = [(summary.cause or {}).get("type"), *summary.errors]
    kind: Any = getattr(errors, next((str(name) for name in named if name), ""), None)
    if not isinstance(kind, type):
        return FAILED
    error: Any = Exception.__new__(kind)
    return code_of(error)
