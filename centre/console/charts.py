"""Bars as SVG: no script, no style attribute, the value as text beside each, a title and a description."""

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _LABEL, _VALUE, _ROW, _BAR = 460, 190, 60, 34, 20


def bars(name: str, title: str, rows: Sequence[tuple[str, int | None, str]]) -> Markup:
    """One bar for each `(label, value, value as text)`; `name` makes its ids those of this page alone."""
    top = max((value or 0 for _, value, _ in rows), default=0) or 1
    summary = "; ".join(f"{label}: {text}" for label, _, text in rows)
    drawn = Markup("").join(
        _bar(number * _ROW, label, text, (value or 0) * (_WIDTH - _LABEL - _VALUE) // top)
        for number, (label, value, text) in enumerate(rows)
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{n}-title {n}-desc">'
        '<title id="{n}-title">{title}</title><desc id="{n}-desc">{told}</desc>{drawn}</svg>'
    ).format(w=_WIDTH, h=max(1, len(rows)) * _ROW, n=name, title=title, told=summary, drawn=drawn)


def _bar(y: int, label: str, text: str, length: int) -> Markup:
    middle, top = y + _ROW // 2 + 5, y + (_ROW - _BAR) // 2
    return Markup(
        '<text x="{label_x}" y="{middle}" text-anchor="end">{label}</text>'
        '<rect x="{x}" y="{top}" width="{length}" height="{height}"/>'
        '<text class="value" x="{value_x}" y="{middle}">{text}</text>'
    ).format(
        label_x=_LABEL - 10,
        middle=middle,
        label=label,
        x=_LABEL,
        top=top,
        length=max(1, length),
        height=_BAR,
        value_x=_LABEL + length + 8,
        text=text,
    )
