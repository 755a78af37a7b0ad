"""An image with a WebP copy and a thumbnail beside it in the storage."""

from __future__ import annotations

from aigc_kit import ImageClient
from aigc_kit.image import Rendition
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage


def main() -> None:
    copies = [Rendition("full"), Rendition("thumb", side=256)]
    with (
        Sandbox() as sandbox,
        LocalStorage("images") as storage,
        ImageClient(
            "gemini", storage=storage, renditions=copies, **sandbox.image_options("gemini")
        ) as client,
    ):
        result = client.text_to_image("A lighthouse in the fog", size="1024x1024")
        print("image:", f"{result.width}x{result.height}", result.url)
        for name, copy in result.metadata["renditions"].items():
            print(
                f"{name}:", f"{copy['width']}x{copy['height']}", copy["size"], "bytes", copy["url"]
            )


if __name__ == "__main__":
    main()
