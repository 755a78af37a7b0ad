"""Several pictures of one request; the one that the vendor's filter takes out does not cost the others."""

from __future__ import annotations

from aigc_kit import ImageClient
from aigc_kit.sandbox import Sandbox


def main() -> None:
    with Sandbox() as sandbox, ImageClient("volcengine", **sandbox.image_options("volcengine")) as client:
        group = client.text_to_images("One lighthouse in four seasons [blocked picture 2]", n=4, size="2K")
        for image in group.images:
            print("came:", f"{image.width}x{image.height}", "until", image.metadata["expires_at"])
        for error in group.errors:
            print(f"picture {error.index}: {type(error).__name__}")


if __name__ == "__main__":
    main()
