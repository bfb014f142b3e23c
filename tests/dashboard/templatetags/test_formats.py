from __future__ import annotations

from decimal import Decimal

from django.template import Context, Template


def render(source: str, **values) -> str:
    return Template("{% load formats %}" + source).render(Context(values))


def test_numbers_are_written_by_filters() -> None:
    assert (
        render("{{ x|price:4 }} {{ x|signed }} {{ x|percent }}", x=Decimal("1.5"))
        == "1.5000 +1.50 +1.50\u2009%"
    )
    assert render("{{ x|volume }}", x=50_673_412) == "50.67\u2009M"


def test_an_icon_is_hidden_from_assistive_technology_and_comes_from_us() -> None:
    icon = render('{% icon "plus" "icon-16" %}')

    assert 'aria-hidden="true"' in icon
    assert 'href="/static/img/icons.svg#plus"' in icon
    assert 'class="icon icon-16"' in icon
