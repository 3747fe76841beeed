"""Scripts of the Makefile: set-up, locks, checks, suites and generated files. Not part of the wheel.

It may import `atm`; `atm` never imports it. Start reading with the Makefile, which names each module's one purpose.
"""
