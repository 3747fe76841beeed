"""The terminal monitor, `atm top`: a live list of runs, and a screen for one run. The only package with Textual."""
