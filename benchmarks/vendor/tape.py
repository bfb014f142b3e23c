"""The real `runtape`, the counting vendor being its only provider: `python -m benchmarks.vendor.tape SOCKET`."""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

from marketdata.providers import registry

if __name__ == "__main__":
    django.setup()
    from benchmarks.vendor.provider import CountedProvider  # its time to live comes from modules with models

    with registry.override(CountedProvider(sys.argv[1], streams=True)):
        call_command("runtape")
