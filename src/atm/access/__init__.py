"""Who may get in, without a server or a storage: the owner of a local connection, the local token, keys, names of keys.

May import `errors` only, so that settings, both front doors and clients use the same rules. Start with `peers.py`.
"""
