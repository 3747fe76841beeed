"""Import specs from other formats: curl command lines. Pure: text to plain data.

May import `models` and below. One file per format; start with `curl.py`.
"""
