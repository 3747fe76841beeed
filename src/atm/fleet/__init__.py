"""One run on several worker processes, here or on a Ray cluster: one schedule, exact merged figures, one verdict.

`split` gives each worker its share of the plan, `state` is the run as a pure state machine, `merge` adds the workers'
seconds up to one. A `Transport` starts worker processes and carries messages to them; it knows nothing about load.
"""
