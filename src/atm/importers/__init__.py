"""Specs from what others write: command lines, collections, descriptions. Pure text to plain data.

May import `models` and below. One file for each format; start with `curl.py`.
"""
