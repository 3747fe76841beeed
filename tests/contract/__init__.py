"""One suite that every engine faces, against a target server in a process of its own whose record decides.

A new engine is a new entry of `engines.ENGINES`. A test that needs a capability says so by
`@pytest.mark.needs(Capability.TLS)` and runs on the engines that have it.
"""
