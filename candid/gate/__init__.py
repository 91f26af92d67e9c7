"""The gate: does this tree's model do worse than that of another revision, beyond what chance explains?"""
