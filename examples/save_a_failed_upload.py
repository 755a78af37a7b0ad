"""An upload fails after the image was paid for: nothing is lost, and nothing is paid twice."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

from aigc_kit import ImageClient
from aigc_kit.errors import StorageError
from aigc_kit.sandbox import Sandbox
from aigc_kit.storage import LocalStorage


def main() -> None:
    root = Path(mkdtemp())
    (root / "aigc").write_text("a file where a directory must be")
    with Sandbox() as sandbox:
        with ImageClient(
            "gemini", storage=LocalStorage(root), **sandbox.image_options("gemini")
        ) as client:
            try:
                client.text_to_image("A lighthouse in winter")
            except StorageError as error:
                print("upload failed:", type(error).__name__)
                (root / "aigc").unlink()
                result = client.store(error.result)
                print("stored:", result.url)
        print("images paid for:", len(sandbox.requests))


if __name__ == "__main__":
    main()
