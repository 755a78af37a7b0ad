"""
Loopback vendors: they speak each wire protocol and keep each vendor's rules, so that everything
runs without keys.
"""

from aigc_kit.sandbox.environment import Environment
from aigc_kit.sandbox.model import Completion, Prompt
from aigc_kit.sandbox.server import Answer, Recorded, Sandbox

__all__ = ["Answer", "Completion", "Environment", "Prompt", "Recorded", "Sandbox"]
