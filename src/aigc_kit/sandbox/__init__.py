"""
Loopback vendors: they speak each wire protocol and keep each vendor's rules, so that everything
runs without keys.
"""

from aigc_kit.sandbox.server import Answer, Recorded, Sandbox

__all__ = ["Answer", "Recorded", "Sandbox"]
