"""What goes over the Control API, beside specs, results and events: requests and answers, typed once for both sides.

Imports the other models only. One file per subject, named as the routes that answer with it; start with `base.py`, then
`runs.py`. Field names of the first design stay as they were (`/api/v1`); what is new adds to them.
"""
