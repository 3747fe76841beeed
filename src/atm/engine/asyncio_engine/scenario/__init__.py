"""Scenarios: conditions, extracts, templates and cookies, as functions of a response and a user.

Pure: no I/O, and no clock but the one of `Context`. May import `responses` of the engine, and `plan`. Each part of a plan
is compiled once: `condition_of(condition, context)` returns a function of (answer, scope) to bool, `extract_of(extract,
context)` one of (answer, scope) to the new value of the variable or UNSET, `template_of(template, context)` one of
(scope) to text. `Context` is what all users share, a `Scope` is the user; an `Answer` is made once per full response. A
user's `Jar` takes each Set-Cookie line (`store`) and returns the Cookie header of a request (`header`). Start with
`value.py`, then `subject.py` and `condition.py`. The shared cases are `evaluation.json`, `cookies.json` and
`randomness.json` of `tests/vectors`.
"""
