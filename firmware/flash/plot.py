"""A curve as a PNG: the life of a battery over the time between two signs of life."""

import math
from collections.abc import Callable
from pathlib import Path

from firmware.flash.errors import CommandError
from firmware.flash.life import Curve

_WIDTH, _HEIGHT = 900, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 30, 60, 80
_FINE = 3  # drawn so much larger, then made smaller: smooth lines
_PERIODS = {60: "1 min", 300: "5 min", 900: "15 min", 3600: "1 h", 14400: "4 h", 43200: "12 h", 86400: "24 h"}
_INK, _GRID, _BAND, _LINE = "#222222", "#dddddd", "#cfe3f2", "#1f77b4"


def draw(path: Path, curve: Curve, chosen: tuple[float, float], title: str) -> None:
    """Write the curve and its band; `chosen` (period_s, days) is marked. Raises CommandError."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise CommandError("drawing needs Pillow: pip install '.[flash]'") from None
    marks = _marks(min(days[0] for _, days in curve), max(days[2] for _, days in curve))
    x = _axis(curve[0][0], curve[-1][0], _LEFT, _WIDTH - _RIGHT)
    y = _axis(marks[0], marks[-1], _HEIGHT - _BOTTOM, _TOP)
    left, right, bottom = x(curve[0][0]), x(curve[-1][0]), y(marks[0])
    image = Image.new("RGB", (_WIDTH * _FINE, _HEIGHT * _FINE), "white")
    pen = ImageDraw.Draw(image)
    font, large = ImageFont.load_default(15 * _FINE), ImageFont.load_default(19 * _FINE)
    band = [(x(period_s), y(days[2])) for period_s, days in curve]
    pen.polygon(band + [(x(period_s), y(days[0])) for period_s, days in reversed(curve)], fill=_BAND)
    for period_s, name in _PERIODS.items():
        pen.line([(x(period_s), bottom), (x(period_s), y(marks[-1]))], fill=_GRID, width=_FINE)
        pen.text((x(period_s), bottom + 8 * _FINE), name, _INK, font, anchor="ma")
    for days in marks:
        pen.line([(left, y(days)), (right, y(days))], fill=_GRID, width=_FINE)
        pen.text((left - 8 * _FINE, y(days)), f"{days:g}", _INK, font, anchor="rm")
    line = [(x(period_s), y(days[1])) for period_s, days in curve]
    pen.line(line, fill=_LINE, width=3 * _FINE, joint="curve")
    at = x(chosen[0]), y(chosen[1])
    pen.circle(at, 5 * _FINE, fill=_LINE, outline="white", width=_FINE)
    pen.text(
        (at[0], at[1] - 12 * _FINE),
        f"{chosen[1]:.0f} days" if chosen[1] >= 10 else f"{chosen[1]:.1f} days",
        _INK,
        font,
        anchor="mb",
    )
    pen.text((_WIDTH / 2 * _FINE, 14 * _FINE), title, _INK, large, anchor="ma")
    foot = "between two signs of life; life in days, typical and from low to high currents: an estimate"
    pen.text((_WIDTH / 2 * _FINE, (_HEIGHT - 16) * _FINE), foot, _INK, font, anchor="ms")
    try:
        image.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS).save(path, "PNG")
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None


def _marks(least: float, most: float) -> list[float]:
    """1, 2, 5, 10, 20, ... from the last that is not above `least` to the first that is not below `most`."""
    series = [factor * 10.0**power for power in range(-4, 6) for factor in (1, 2, 5)]
    first = max(n for n, mark in enumerate(series) if mark <= least or n == 0)
    last = min(n for n, mark in enumerate(series) if mark >= most or n == len(series) - 1)
    return series[first : last + 1]


def _axis(first: float, last: float, start: int, end: int) -> Callable[[float], float]:
    """Logarithmic: from a value between `first` and `last` to a pixel between `start` and `end`."""

    def at(value: float) -> float:
        return (start + math.log(value / first) / math.log(last / first) * (end - start)) * _FINE

    return at
