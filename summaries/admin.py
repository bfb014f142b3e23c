"""The pages of the administration, one module for each kind: importing them registers them."""

from __future__ import annotations

from summaries import article_admin, call_admin, model_admin, order_admin, text_admin  # noqa: F401 -- registers
