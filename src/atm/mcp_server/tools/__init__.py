"""What agents can call, by noun: runs, results, specs, schedules. Each module's `tools(services)` makes its tools."""
