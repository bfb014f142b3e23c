"""Articles of our own making: distinct, of the length of real ones, about companies that do not exist."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

FOLDER = Path(os.environ.get("ONETAPE_TRIAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = FOLDER / "wikinews_business.jsonl"
NUMBER = 149
COMPANIES = 22

PLACES = ["Lisbon", "Turku", "Graz", "Leeds", "Porto", "Malmo", "Ghent", "Trieste", "Bergen", "Nantes"]
GOODS = [
    "turbines",
    "sensors",
    "tyres",
    "lenses",
    "batteries",
    "looms",
    "kettles",
    "drones",
    "valves",
    "pianos",
]
NAMES = ["Arlen", "Bryce", "Corva", "Delmo", "Eskil", "Fargo", "Gilda", "Harlo", "Ivern", "Jorun", "Kelda"]
OPENINGS = [
    "{name} said on Monday that it sold {count} {goods} in the quarter, {rate} percent more than a year before.",
    "Orders for {goods} made by {name} rose {rate} percent to ${sum} million, the company reported.",
    "{name} will close its plant in {place}, where {count} people make {goods}.",
]
MIDDLES = [
    "Revenue came to ${sum} million and the operating margin was {margin} percent.",
    "The chief executive, {person} Vale, called demand for {goods} strong and warned of higher costs.",
    "Analysts had expected {count} {goods} and revenue of ${other} million.",
    "A new line in {place} is to start in {month} and to cost ${other} million.",
    "The union in {place} said that {staff} jobs were at risk and asked for talks.",
    "Shares of {name} closed {rate} percent higher at {price} dollars.",
    "{name} expects revenue of ${next} million in the coming year.",
    "The board of {name} proposed a dividend of {dividend} dollars a share.",
]  # fmt: skip
MONTHS = ["January", "March", "May", "July", "September", "November"]


def lines() -> list[dict[str, object]]:
    """The real articles where they are, else as many of our own; each as `loadarticles` reads it."""
    if REAL.is_file():
        return [json.loads(line) for line in REAL.read_text().splitlines() if line.strip()]
    return own(NUMBER)


def own(number: int) -> list[dict[str, object]]:
    """The same ones at every run."""
    rng = random.Random(6)
    return [_article(rng, one) for one in range(number)]


def symbols(articles: list[dict[str, object]]) -> list[str]:
    return sorted({symbol for one in articles for symbol in one["tickers"]})  # type: ignore[attr-defined]


def _article(rng: random.Random, number: int) -> dict[str, object]:
    words = _words(rng, number)
    sentences = [rng.choice(OPENINGS), *rng.sample(MIDDLES, 6), *rng.sample(MIDDLES, 3)]
    text = " ".join(dict.fromkeys(one.format(**words) for one in sentences))
    return {
        "id": f"own-{number}",
        "date": f"2026-{number % 9 + 1:02d}-{number % 27 + 1:02d}",
        "headline": f"{words['name']} and the {words['goods']} of {words['place']}, part {number}",
        "text": text,
        "tickers": [f"B{number % COMPANIES:02d}"],
        "source": "Onetape benchmark (fictional)",
        "license": "as Onetape",
    }


def _words(rng: random.Random, number: int) -> dict[str, object]:
    return {
        "name": f"{NAMES[number % 11]}{NAMES[number // 11 % 11].lower()} Works",
        "person": NAMES[(number * 7 + 3) % 11],
        "place": PLACES[number % 10],
        "goods": GOODS[number * 3 % 10],
        "count": f"{rng.randrange(1_000, 90_000):,}",
        "staff": rng.randrange(50, 900),
        "rate": f"{rng.randrange(10, 400) / 10}",
        "margin": f"{rng.randrange(20, 300) / 10}",
        "sum": rng.randrange(100, 900),
        "other": rng.randrange(900, 1_900),
        "next": rng.randrange(2_000, 4_000),
        "price": f"{rng.randrange(1_000, 30_000) / 100}",
        "dividend": f"0.{rng.randrange(10, 99)}",
        "month": MONTHS[number % 6],
    }
