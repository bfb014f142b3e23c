from __future__ import annotations

import pytest
from django.template import engines


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_an_error_page_needs_neither_a_request_nor_the_database(
    status, django_assert_num_queries, db
) -> None:
    with django_assert_num_queries(0):
        page = engines["django"].get_template(f"{status}.html").render({})

    assert "<h1>" in page
    assert "Onetape" in page
    assert 'class="btn btn-primary"' in page


def test_the_page_of_an_outage_says_what_happened() -> None:
    page = engines["django"].get_template("503.html").render({"detail": "The database is restarting."})

    assert "The database is restarting." in page


@pytest.mark.django_db
def test_an_unknown_address_is_a_404_in_our_look(client) -> None:
    answer = client.get("/nothing/here/")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()
