"""The MCP server: load tests as tools for LLM agents, over stdio or HTTP, on top of the Control API.

May import `client`, `plan`, `models` and below, and the `mcp` SDK. Start with `server.py`; `tools/` has the tools,
`gate.py` enforces limits and targets, `backend.py` connects to or starts the API server.
"""
