"""Measurements of what the README promises, each beside the plainest code that does the same work.

`python -m benchmarks` runs all of them; a missed bound ends with exit code 1. The two sides of a comparison
run in turn, five times each, so that a machine that is busy for a while slows both.
"""
