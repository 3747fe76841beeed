"""The tools by noun: runs, results, specs, schedules. Each module's `tools(services)` returns its tools."""
