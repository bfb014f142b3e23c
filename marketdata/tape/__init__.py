"""The tape: one owner per shard between the providers and everybody who looks.

    provider ──▶ upstream.py ──▶ acceptance ──▶ conflation.py ──▶ publish.py ──▶ one Channels group per ticker
                     ▲                │
      owner.py: lease, wanted = open  └──▶ history.py: last quotes (1 s), minute and daily bars to PostgreSQL

What it guarantees stands in docs/design/tape.md.
"""
