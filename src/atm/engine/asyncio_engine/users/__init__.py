"""Virtual users: the iteration that each one is in, and the request of it that is in flight.

Knows nothing of how bytes travel: a request is an `Exchange` of the transport, and counts in the ledger. Start with
`user.py`, then `prepared_step.py` (what all requests of a step share).
"""
