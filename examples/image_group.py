"""
Several images from one request; one that the vendor's filter blocks does not affect the others.
"""

from __future__ import annotations

from aigc_kit import ImageClient
from aigc_kit.sandbox import Sandbox


def main() -> None:
    with (
        Sandbox() as sandbox,
        ImageClient("volcengine", **sandbox.image_options("volcengine")) as client,
    ):
        group = client.text_to_images(
            "One lighthouse in four seasons [blocked image 2]", n=4, size="2K"
        )
        for image in group.images:
            print(
                "received:",
                f"{image.width}x{image.height}",
                "expires",
                image.metadata["expires_at"],
            )
        for error in group.errors:
            print(f"image {error.index}: {type(error).__name__}")


if __name__ == "__main__":
    main()
