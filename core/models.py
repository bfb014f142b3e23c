from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """Who may act for a shard right now; taken and renewed by `core.leases` only."""

    name = models.CharField(max_length=60, primary_key=True)
    holder = models.CharField(max_length=120)
    epoch = models.BigIntegerField(help_text="Rises with every new holder, over all leases.")
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
