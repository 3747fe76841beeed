"""What starts when: phases, legs and barriers, selection, saturation and catch-up rules, the end of sending.

Pure: moments are arguments, users are tokens that come back when they are free, and `Decisions` (`schedule.py`) carries
out what is decided. Start with `schedule.py`, then `open_schedule.py` and `closed_schedule.py`.
"""
