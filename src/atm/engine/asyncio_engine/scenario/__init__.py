"""Scenarios: conditions, extracts, templates and cookies, as functions of a response and a user.

Pure: no I/O, and no clock but the one of `Context`. May import `responses` of the engine, and `plan`. Start with
`value.py`, then `subject.py` and `condition.py`. How `users` uses it:

- Each part of a plan is compiled once, with the `Context` that all users share: `condition_of(condition, context)`
  returns a function of (answer, scope) to bool, `extract_of(extract, context)` one of (answer, scope) to the new value
  of the variable or UNSET, `template_of(template, context)` one of (scope) to text.
- A `Scope` is the user; its unset variables are `UNSET`. An `Answer` is made once per full response.
- The `Jar` of a user takes each Set-Cookie line (`store`) and returns the Cookie header of a request (`header`).

The cases shared with the native engine are `evaluation`, `cookies` and `randomness` of `tests/vectors`.
"""
