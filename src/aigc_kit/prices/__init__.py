"""
What a call cost, by dated list prices in the currency of the bill.

Prices change without notice: every ``Cost`` names its source and the day when it was read. Add your
own, or replace one, with ``add``.
"""

from __future__ import annotations

from aigc_kit.prices.cost import Cost, summed
from aigc_kit.prices.lookup import add, cost_of_image, cost_of_tokens, forget_added
from aigc_kit.prices.price import ImagePrice, Peak, Price, Rates

__all__ = [
    "Cost",
    "ImagePrice",
    "Peak",
    "Price",
    "Rates",
    "add",
    "cost_of_image",
    "cost_of_tokens",
    "forget_added",
    "summed",
]
