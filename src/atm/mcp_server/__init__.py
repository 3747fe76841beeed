"""The MCP server: load tests as tools for LLM agents, over stdio or HTTP, by way of the Control API.

May import `client`, `plan`, `models` and below, and the `mcp` SDK. Start with `server.py`; `tools/` has what agents
call, `gate.py` decides what they may, `backend.py` finds or starts the server that carries it out.
"""
