"""Virtual users: the current iteration of each user, and its request in flight.

Knows nothing about connections: a request is an `Exchange` of the transport, and is counted in the ledger. Start with
`user.py`, then `prepared_step.py` (shared by all requests of a step). Flows with a program, or with values and checks
of users, run in `scenario_user.py`: `scenarios.py` prepares them, `session.py` is the state of a user, and
`request_template.py` renders its requests.
"""
