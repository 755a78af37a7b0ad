"""
What is wrong with a setup, and how to mend it.

::

    from aigc_kit.doctor import diagnose

    for finding in diagnose():
        print(finding.level, finding.text("en"), finding.fix("en"))
"""

from __future__ import annotations

from aigc_kit.doctor.diagnosis import diagnose, worst
from aigc_kit.doctor.findings import LEVELS, Context, Finding

__all__ = ["LEVELS", "Context", "Finding", "diagnose", "worst"]
