from __future__ import annotations

from django import forms
from django.template.loader import render_to_string


class Sample(forms.Form):
    name = forms.CharField(help_text="As in your passport.")
    remember = forms.BooleanField(required=False)


def test_help_and_error_are_tied_to_the_input() -> None:
    html = render_to_string("partials/_fields.html", {"form": Sample({})})

    assert 'aria-describedby="id_name_error id_name_help"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_name_error"' in html
    assert '<label for="id_name">' in html


def test_a_check_box_stands_inside_its_label() -> None:
    html = render_to_string("partials/_fields.html", {"form": Sample()})

    assert '<label class="check"><input type="checkbox" name="remember"' in html
    assert "aria-invalid" not in html
