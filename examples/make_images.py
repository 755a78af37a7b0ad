"""Images from two vendors, each with a URL. Without keys in .env they come from the sandbox."""

from __future__ import annotations

import contextlib

from aigc_kit import ImageClient
from aigc_kit.sandbox import Sandbox
from aigc_kit.settings import is_placeholder, load_dotenv, variable
from aigc_kit.storage import LocalStorage

VENDORS = {
    "volcengine": ("VOLCENGINE_API_KEY", "ARK_API_KEY"),
    "gemini": ("GOOGLE_CLOUD_PROJECT", "GOOGLE_API_KEY", "GEMINI_API_KEY"),
}


def main() -> None:
    load_dotenv()
    storage = LocalStorage("images")
    print(f"{'vendor':12}{'where':10}{'requested':12}{'sent':12}{'received':12}URL")
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        for vendor, variables in VENDORS.items():
            filled = [key for key in map(variable, variables) if key and not is_placeholder(key)]
            where = "real" if filled else "sandbox"
            options = {} if where == "real" else sandbox.image_options(vendor)
            client = ImageClient(vendor, storage=storage, keep_urls=True, **options)
            stack.enter_context(client)
            cat = client.text_to_image("An orange cat dozing in the sun", size="1024x1024")
            rain = "The same cat, now on a rainy street"
            street = client.image_to_image(rain, reference_images=[cat], size="16:9")
            for result in (cat, street):
                wanted, sent = (result.metadata[f"{name}_size"] for name in ("requested", "sent"))
                came = f"{result.width}x{result.height}"
                print(f"{vendor:12}{where:10}{wanted:12}{sent:12}{came:12}{result.url}")


if __name__ == "__main__":
    main()
