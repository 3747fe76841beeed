"""When iterations start: phases, legs and barriers, flow selection, saturation and catch-up rules, end of sending.

Pure: times are arguments, users are tokens that come back when they are free, and `Decisions` (`schedule.py`) carries
out the decisions. Start with `schedule.py`, then `open_schedule.py` and `closed_schedule.py`.
"""
