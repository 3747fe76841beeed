"""The version of the package, in a file of its own so that `atm --version` imports nothing else."""

VERSION = "0.1.0"
