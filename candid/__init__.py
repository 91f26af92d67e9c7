"""The library of Candid: what a notebook, a stage or a command imports."""
