"""The routes, one file per noun: each says what is asked for, and lets `runs` and `storage` do it."""
