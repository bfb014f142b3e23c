from __future__ import annotations

import re

from tests.docs.pages import first_cells, text_of
from tests.servers import FOREIGN

READ = re.compile(r'(?:env\.\w+|comma_list)\(\s*"([A-Z_]+)"')


def names_read():
    return set(READ.findall(text_of("config/settings.py")))


def test_the_settings_read_many_variables():
    assert {"DATABASE_URL", "DEBUG", "MARKETDATA_PROVIDERS"} <= names_read()


def test_the_reference_has_every_variable_and_no_other():
    documented = first_cells("docs/reference/settings.md", "What there is")

    assert sorted(documented) == sorted(names_read())


def test_the_example_has_every_variable_and_no_other():
    named = re.findall(r"^([A-Z_]+)=", text_of(".env.example"), re.MULTILINE)

    assert sorted(named) == sorted(names_read())


def test_nothing_but_the_settings_reads_the_environment_of_an_operator():
    names = "|".join(sorted(names_read()))
    for module in (
        "core/supervisor.py",
        "core/bundled.py",
        "config/celery.py",
        "config/asgi.py",
        "config/wsgi.py",
    ):
        assert re.findall(rf'environ[^\n]*"({names})"', text_of(module)) == []


def test_an_exported_variable_does_not_reach_the_tests():
    given_by_the_tests = {"DATABASE_URL", "REDIS_URL", "DATA_DIR", "SECRET_KEY"}

    assert names_read() - given_by_the_tests - set(FOREIGN) == set()
