"""What a text claims, in all the forms in which people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from summaries.claims import claims, normal, without_mark
from summaries.sources import Source


def knows(source, text, symbols=(), facts=None):
    """Whether all that the text claims is known to the source."""
    known = Source(source, symbols, facts)
    found = claims(normal(text))
    assert found, f"no claim in {text!r}"
    return all(known.knows(claim) for claim in found)


SAME = [
    ("$1,200 million", "$1.2 billion"),
    ("$1,200 million", "1.2bn dollars"),
    ("$1,200 million", "US$1.20bn"),
    ("$1,200 million", "USD 1 200 000 000"),
    ("1,200,000,000 shares", "1.2 billion shares"),
    ("US$ 52 billion", "$52bn"),
    ("€280.5 million", "EUR 280.5m"),
    ("12.3 billion yen", "¥12.3bn"),
    ("77 cents", "$0.77"),
    ("12 %", "12 percent"),
    ("12 per cent", "12%"),
    ("10-12%", "between 10 and 12 percent"),
    ("10% to 12%", "10 to 12 percent"),
    ("$5-6 million", "$5 million to $6 million"),
    ("15, 20 and 25 percent", "15%, 20% and 25%"),
    ("half of them", "50 percent"),
    ("one-fifth of sales", "20 %"),
    ("½ of it", "half"),
    ("2½ years", "two and a half years"),
    ("two dozen", "24 stores"),
    ("a million songs", "1,000,000 songs"),
    ("half a million", "500,000"),
    ("twelve stores", "12 stores"),
    ("twenty-five states", "25 states"),
    ("two hundred and fifty jobs", "250 jobs"),
    ("over three thousand", "3,000"),
    ("three-year plan", "plan of three years"),
    ("3 or more years", "3 years"),
    ("doubled its profit", "profit rose 100 percent"),
    ("tripled", "three times"),
    ("12億", "1.2 billion"),
    ("fell 5.2%", "-5.2 percent"),
    ("net loss of $3 million", "($3 million)"),
    ("March 5, 2026", "5 March 2026"),
    ("March 5, 2026", "Mar. 5"),
    ("March 5, 2026", "2026-03-05"),
    ("March 5, 2026", "the 5th of March"),
    ("March 5, 2026", "03/05/2026"),
    ("March 5, 2026", "March 2026"),
    ("March 5, 2026", "in 2026"),
    ("March 5,2026", "5 March 2026"),
    ("On March 5 the board of 2026 met", "March 5, 2026"),
    ("June 3-5", "June 5"),
    ("5–7 June 2006", "7 June 2006"),
    ("third quarter of 2025", "Q3 2025"),
    ("third-quarter", "3Q"),
    ("Q3 FY25", "third quarter of fiscal 2025"),
    ("first and second quarters", "Q2"),
    ("the 1st quarter", "first quarter"),
    ("second half of 2007", "H2 2007"),
    ("2:45 PM", "2:45 p.m."),
    ("September 6th issue", "6 September"),
    ("No. 3", "the third-largest"),
    ("12th", "the twelfth"),
    ("the A5 chip", "A5"),
    ("(NASDAQ: AAPL)", "$AAPL"),
    ("BRK.B", "BRK-B"),
    ("European Central Research Bureau", "ECRB"),
    ("over 5,000,000 dollars", "millions of dollars"),
    ("20+ billion", "20 billion"),
]


@pytest.mark.parametrize(("source", "text"), SAME)
def test_the_same_in_another_form_is_known(source, text):
    assert knows(source, text)


OTHER = [
    ("$1.2 billion", "$1.3 billion"),
    ("$1.2 billion", "$1.2 million"),
    ("$1.2 billion", "€1.2 billion"),
    ("$1.2 billion", "1.2 billion yen"),
    ("C$1.2 billion", "$1.2 billion"),
    ("$1.2 billion", "1.2 percent"),
    ("1.23 billion", "1.2 billion"),
    ("12 percent", "12 stores"),
    ("12 percent", "12 percentage points"),
    ("12 percent", "$12"),
    ("12 stores", "12%"),
    ("15 percent", "5 percent"),
    ("three years", "three months"),
    ("5 years, 5 stores", "5 minutes"),
    ("rose 5.2%", "-5.2%"),
    ("-5.2%", "rose 5.2%"),
    ("March 5", "March 6"),
    ("March 5", "May 5"),
    ("March 5, 2025, and 2026", "March 5, 2026"),
    ("December 10", "December 40"),
    ("5,200 in 2009", "5,2009"),
    ("Q3 2025", "Q2 2025"),
    ("Q3 2025 and Q2 2024", "Q2 2025"),
    ("third quarter", "first half"),
    ("2:45 PM", "3:45 PM"),
    ("2:45 PM", "2:45 AM"),
    ("Monday", "on Tuesday"),
    ("third-largest", "fourth-largest"),
    ("a third", "a fifth"),
    ("doubled", "tripled"),
    ("the A5 chip", "A6"),
    ("version 1.5.0", "1.5.1"),
    ("1990s", "1980s"),
    ("AAPL rose", "MSFT"),
    ("'AAPL'", "'ORCL'"),
    ("a cat and all the rest", "$CAT"),
    ("a cat and all the rest", "CAT"),
    ("S&P gained", "H&R gained"),
    ("5.2 million", "52 million"),
    ("$5 billion", "$5 percent"),
    ("twelve", "eleven or twelve"),
    ("thousands", "millions"),
    ("0.12 of it", "12%"),
]


@pytest.mark.parametrize(("source", "text"), OTHER)
def test_what_is_something_else_is_not_known(source, text):
    assert not knows(source, text)


def test_a_rate_that_we_computed_is_known_as_a_fraction_and_as_percent():
    facts = {"Return on equity": "0.12", "Net margin": "8.5%"}
    assert knows("", "a return of 12 percent and a margin of 0.085", facts=facts)
    assert not knows("", "a return of 0.12 percent", facts=facts)


def test_a_loss_is_known_as_a_negative_number_and_the_other_way_round():
    source = Source("Net income: -$5 million")
    (claim,) = claims("$5 million")
    assert (source.knows(claim), source.knows(claim, falls=True)) == (False, True)


def test_a_ticker_of_the_item_is_known_with_and_without_its_suffix():
    assert knows("", "0700.HK and BTC", symbols=("0700.HK", "BTC-USD"))


@pytest.mark.parametrize(
    "text",
    [
        "One of them said no.",
        "The first time it may march on.",
        "No one, a company, the CEO of the US and the EU.",
        "",
    ],
)
def test_words_that_count_nothing_claim_nothing(text):
    assert claims(normal(text)) == []


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("1. Sales rose", "Sales rose"),
        ("(2) Sales rose", "Sales rose"),
        ("- Sales rose", "Sales rose"),
        ("• Sales rose", "Sales rose"),
        ("1.5 million sold", "1.5 million sold"),
        ("2026 was good", "2026 was good"),
        ("-5% is bad", "-5% is bad"),
    ],
)
def test_the_mark_of_a_list_is_no_claim(text, rest):
    assert without_mark(text) == rest


PIECE = st.sampled_from(
    [
        "5",
        "1,200",
        ".",
        ",",
        " ",
        "$",
        "%",
        "million ",
        "to",
        "-",
        "Q3",
        "March ",
        "third ",
        "half ",
        "a ",
        "AAPL",
        "x",
    ]
) | st.text(max_size=5)


@given(st.lists(PIECE, max_size=25).map("".join))
def test_every_text_knows_itself(text):
    source = Source(text)
    assert all(source.knows(claim) for claim in claims(normal(text)))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["5 ", "-", "1:", "a.", "$", "( ", "twenty ", "March 5 ", "1,", "2000 ", "AAPL "]
)
def test_a_source_of_one_thing_repeated_is_read_in_bounded_time(piece):
    assert Source(piece * (20_000 // len(piece))).text != ""
