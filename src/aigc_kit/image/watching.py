"""``on_image``: an application's function, called with images as they arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aigc_kit.errors import InvalidInputError
from aigc_kit.media.result import ImageResult
from aigc_kit.settings import spelled
from aigc_kit.transport.interrupts import is_from_a_signal


class Watcher:
    """
    The function of one call. An exception of it costs no image: it is not called again, and
    ``failure`` says why.
    """

    def __init__(
        self, function: Any, prepare: Callable[[ImageResult], ImageResult] | None = None
    ) -> None:
        """
        Args:
            prepare: what is done to each image before the application sees it.

        Raises:
            InvalidInputError: ``function`` cannot be called.
        """
        if not callable(function):
            raise InvalidInputError(
                f"on_image must be a function that takes an ImageResult, got {spelled(function)}"
            )
        self._function = function
        self._prepare = prepare
        self.failure = ""

    def __call__(self, image: ImageResult) -> None:
        if self.failure:
            return
        if self._prepare is not None:
            image = self._prepare(image)
        try:
            self._function(image)
        except Exception as error:
            if is_from_a_signal(error):  # a worker's time limit struck while it ran
                raise
            self.failure = f"on_image raised {type(error).__name__}: {str(error)[:200]}"
