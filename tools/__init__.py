"""What the Makefile calls: set-up, locks, checks, suites and generated files. Never part of the wheel.

It may import `atm`; `atm` never imports it. Start reading with the Makefile, which names each module's one purpose.
"""
