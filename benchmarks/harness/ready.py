"""Importing this sets Django up: for processes that are forked from one that has, so that it happens once."""

from __future__ import annotations

import django

django.setup()
