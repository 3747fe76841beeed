"""Python code of users that is part of a test: scenarios as functions, hooks and metrics. See docs/guide/python.md.

`user.py` and `response.py` are what a function sees, `scenario.py` is the decorator, `module.py` loads a file. The
asyncio engine calls the functions (`engine/asyncio_engine/users/code_user.py`).
"""
