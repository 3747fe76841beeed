"""Access rules without a server or storage: owner of a local connection, local token, key strength, key names.

May import `errors` only, so that settings, the API, the MCP server and clients use the same rules. Start with
`peers.py`.
"""
