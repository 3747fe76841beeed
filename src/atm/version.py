"""The version of the package, in a separate module so that `atm --version` imports nothing else."""

VERSION = "0.1.0"
