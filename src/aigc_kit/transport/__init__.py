"""The wire: deadlines, HTTP, the vendors' SDKs, and what their failures mean."""

from aigc_kit import __version__

USER_AGENT = f"aigc-kit/{__version__}"
"""In the User-Agent of every request, beside the SDK's own."""
