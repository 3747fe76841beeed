"""Python code of users in a test: scenarios as functions, hooks and metrics. See docs/guide/tests-in-python.md.

`user.py` and `response.py` are what a function sees, `scenario.py` is the decorator, `module.py` loads a file. The
asyncio engine calls the functions (`engine/asyncio_engine/users/code_user.py`).
"""
