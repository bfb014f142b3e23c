"""What is left of a stranger's article, whatever is in it."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.cleaning import content_hash, headline, plain, shorten, visible


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>First.</p><p>Second.</p>", "First.\nSecond."),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
        ("<table><tr><td>Sales</td><td>5</td></tr></table>", "Sales 5"),
        ("a <b>bold</b> w<i>or</i>d", "a bold word"),
        ("<p>one\n  two</p>", "one two"),
        ("one\n\ntwo\r\nthree", "one\ntwo\nthree"),
        ("a<script>alert(1)</script>b", "ab"),
        ("a<SCRIPT src='//evil.example'>x</SCRIPT >b", "ab"),
        ("é<SCRIPT>x</SCRIPT>b", "éb"),
        ("a<style>p { color: red }</style>b", "ab"),
        ("<scr<script>x</script>ipt>alert(1)</script>b", "alert(1)b"),
        ("a<!-- hidden -->b<!-- never closed", "ab"),
        ("a<!-->b", "ab"),
        ("a<svg onload=alert(1)><text>x</text></svg>b", "ab"),
        ("<title>Page</title>Text", "Text"),
        ('<img alt="a > b" src="http://evil.example/?q=1">text', "text"),
        ('<a href="javascript:alert(1)">here</a>', "here"),
        ("text <img src=x onerror=alert(1)", "text"),
        ("<![CDATA[<p>News</p>]]>", "News"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("AT&amp;T &copy; 2026 Q&A", "AT&T © 2026 Q&A"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("&lt;b&gt;", "<b>"),
        ("&#" + "1" * 9000 + ";x", "x"),
        ("a\u200bb\u202ec\u2066d\ufefff\u00adg\u0000h", "abcdfgh"),
        ("a&#x202e;b&#8203;c&#0;", "abc\ufffd"),
        ("A\U000e0041\ufe0f", "A"),
        ("a\u2028b\u00a0c\td", "a\nb c d"),
        ("Cafe\u0301", "Café"),
        ("e" + "\u0301" * 50, "é\u0301\u0301\u0301"),
        ("", ""),
    ],
)
def test_plain_text_is_what_a_reader_would_see(html, text):
    assert plain(html) == text


def test_a_less_than_sign_does_not_swallow_the_rest_of_the_article():
    rest = "costs are what they were. " * 30
    assert plain(f"Profit<{rest}") == f"Profit {rest}".strip()


FLOODS = {
    "nested": "<div>" * 200_000,
    "nested after the first look": "<di<b<i>>v>" * 80_000,
    "angles": "<" * 1_000_000,
    "ampersands": "&" * 1_000_000,
    "attributes": "<a " + " ".join(f"x{i}" for i in range(150_000)) + ">",
    "attributes without end": "<a \"'" + " ".join(f"x{i}" for i in range(150_000)),
    "angles in attributes": "<a " + " ".join(f"<x{i}" for i in range(120_000)) + ">",
    "scripts": "<script>" * 125_000,
    "half scripts": "<script></script" * 60_000,
    "comments": "<!--" * 250_000,
    "marks": "\u0301\u0316" * 500_000,
    "quotes": "<a '" * 250_000,
    "digits": "&#x" + "f" * 1_000_000,
    "breaks": "\ue001" * 1_000_000,
    "in vector graphics": "<svg><script>" * 70_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_megabyte_of_anything_is_cleaned_in_bounded_time(flood):
    text = plain(flood)
    assert not re.search(r"<\s*[a-z/!]", text)
    assert len(content_hash(headline(flood), flood)) == 64


MARKUP = st.text(
    st.sampled_from(list("<>/!-'\"= &;#x ab\u200b\u202e\ue000\ue001é")) | st.characters(), max_size=60
)
TAGS = st.sampled_from(
    ["<script>", "</script>", "<p>", "<img src=x>", "<!--", "-->", "<svg>", "<a href='", "&lt;"]
)


@given(st.lists(MARKUP | TAGS, max_size=12).map("".join))
def test_no_tag_survives_and_what_is_kept_can_be_seen(html):
    html = html.replace("&", "")  # what was written as an entity is text, and may spell a tag
    text = plain(html)
    assert not re.search(r"<[a-zA-Z/!?]", text)
    assert text == visible(text)
    assert text == "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())


@given(st.text(string.ascii_letters + string.digits + " .,;:()%$", max_size=200))
def test_text_without_markup_stays_as_it_is(text):
    assert plain(text) == " ".join(text.split())


def test_text_is_cut_between_two_words():
    assert plain("one two three", limit=9) == "one two"
    assert shorten("onetwothree", 6) == "onetwo"
    assert shorten("short", 6) == "short"


def test_a_headline_is_one_line_of_bounded_length():
    assert headline("<h1>Profit\n rises</h1> <br>again") == "Profit rises\nagain".replace("\n", " ")
    assert len(headline("word " * 1000)) == 499


@pytest.mark.parametrize(
    "other",
    [
        ("apple raises its dividend", "it pays 1.20 dollars a share"),
        ("Apple raises its dividend!", "It pays 1.20 dollars, a share ."),
        ("Apple  raises\nits dividend", "It pays\u00a01.20 dollars a\u200b share."),
    ],
)
def test_case_space_and_punctuation_make_no_other_content(other):
    assert content_hash(*other) == content_hash("Apple raises its dividend", "It pays 1.20 dollars a share.")


@pytest.mark.parametrize(
    "other",
    [
        ("Apple raises its dividend", "It pays 12.0 dollars a share."),
        ("Apple raises its dividend", "It pays 120 dollars a share."),
        ("Apple raises its dividend", "It pays -1.20 dollars a share."),
        ("Apple raises its", "dividend It pays 1.20 dollars a share."),
    ],
)
def test_another_number_or_another_headline_is_another_content(other):
    assert content_hash(*other) != content_hash("Apple raises its dividend", "It pays 1.20 dollars a share.")


def test_numbers_grouped_in_another_way_are_the_same_content():
    assert content_hash("a", "1,200 shops") == content_hash("a", "1200 shops")
