"""Requests and responses of the Control API, beside specs, results and events, shared by server and client.

Imports the other models only. One file per subject, named as the routes that return it; start with `base.py`, then
`runs.py`. Field names of the first design are unchanged (`/api/v1`); new fields are additions.
"""
