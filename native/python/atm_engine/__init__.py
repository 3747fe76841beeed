"""The native load engine of API Test Machine: a compiled plan in as bytes, seconds of figures out as bytes.

Made for `atm.engine.native_engine`; the names below are all there is. The load runs on threads of its own that know no
Python, and the GIL is released wherever a call waits.
"""

from atm_engine._engine import PLAN_FORMAT, PlanRefused, Run, capabilities, check, version

__all__ = ["PLAN_FORMAT", "PlanRefused", "Run", "capabilities", "check", "version"]
