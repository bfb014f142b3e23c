"""Vendors' own protocols served by us: an existing program gives our address and one of our keys, and nothing else.

Each protocol translates at the edge and nothing more; what a user may see and how much is decided where it always is.
What differs from the vendor is told in docs/howto/compat.md.
"""
