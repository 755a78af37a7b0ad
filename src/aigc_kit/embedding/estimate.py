"""How many tokens a text has, without the vendor's tokenizer. Pure."""

from __future__ import annotations


def at_most(text: str) -> int:
    """
    Tokens that a text will hardly exceed: for filling requests.

    English prose has a token for four letters, code and digits one for two and a half, Chinese one
    to one and a half for each character, an emoji two. Where a tokenizer is worse than that, the
    vendor's refusal splits the request again.
    """
    size = len(text)
    if text.isascii():
        return size * 2 // 5 + 1
    # Two of the three bytes of a Chinese character are beyond the first.
    beyond = len(text.encode("utf-8", "surrogatepass")) - size
    return size * 2 // 5 + beyond * 3 // 5 + 1


def at_least(text: str) -> int:
    """
    Tokens that a text has for certain, or nearly: for refusing one that no tokenizer can make fit.

    Long runs of blanks are few tokens, so only what is not blank counts.
    """
    words = sum(map(len, text.split()))
    return words // 16
