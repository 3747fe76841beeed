"""The routes, one file per noun: they define requests and responses and call `runs` and `storage`."""
