#!/usr/bin/env python
"""Django's command line."""

from __future__ import annotations

import os
import sys
from importlib import import_module


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 -- after the settings are named
    from django.core.management import execute_from_command_line  # noqa: PLC0415 -- after the settings are named
    from environs import EnvError  # noqa: PLC0415 -- with the two above

    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except (EnvError, ImproperlyConfigured) as error:
        sys.exit(f"manage.py: wrong setting: {' '.join(str(error).split())}")
    except OSError as error:
        sys.exit(f"manage.py: {error.filename or 'the system'}: {error.strerror or error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
