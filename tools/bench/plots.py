"""Plots as SVG text: grouped bars, on a linear or a logarithmic scale. No libraries, no scripts."""

import math
from xml.sax.saxutils import escape

COLOURS = ("#2f6fde", "#d9822b", "#3a9d5d", "#8a6bbf")
_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 60, 50


def decades(values):
    """The powers of ten that hold all values, at least one decade: (low exponent, high exponent)."""
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return (low, high) if high > low else (low, low + 1)


def short(value):
    """A number in at most four characters or so: 1.2k, 340k, 5.1M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def ticks(values):
    """Round numbers from 0 to above all values, four to eight of them."""
    top = max(values)
    step = 10.0 ** math.floor(math.log10(top))
    step *= next(factor for factor in (0.2, 0.25, 0.5, 1, 2) if top <= 6 * step * factor)
    return [step * i for i in range(math.ceil(top / step) + 1)]


def bars(title, unit, groups, series, logarithmic=False):
    """Bars by group. `series`: {name: [value or None for each group]}. Returns SVG text, or "" without values."""
    values = [value for row in series.values() for value in row if value]
    if not values:
        return ""
    plot_height = _HEIGHT - _TOP - _BOTTOM
    plot_width = _WIDTH - _LEFT - _RIGHT
    if logarithmic:
        low, high = decades(values)
        marks = [10.0 ** exponent for exponent in range(low, high + 1)]
        unit += ", logarithmic"
    else:
        marks = ticks(values)

    def y(value):
        share = (math.log10(value) - low) / (high - low) if logarithmic else value / marks[-1]
        return _TOP + plot_height * (1 - share)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="15" fill="#222222">{escape(title)} ({escape(unit)})</text>',
    ]
    for mark in marks:
        at = y(mark)
        out.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end" fill="#555555">'
                   f"{short(mark)}</text>")
    group_width = plot_width / len(groups)
    bar_width = group_width * 0.8 / len(series)
    for s, (name, row) in enumerate(series.items()):
        colour = COLOURS[s % len(COLOURS)]
        legend = _LEFT + s * 150
        out.append(f'<rect x="{legend}" y="30" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{legend + 17}" y="41" fill="#222222">{escape(name)}</text>')
        for g, value in enumerate(row):
            if not value:
                continue
            left = _LEFT + g * group_width + group_width * 0.1 + s * bar_width
            top = y(value)
            out.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{bar_width * 0.94:.1f}" '
                       f'height="{_TOP + plot_height - top:.1f}" fill="{colour}"/>')
            out.append(f'<text x="{left + bar_width * 0.47:.1f}" y="{top - 4:.1f}" font-size="10" '
                       f'text-anchor="middle" fill="#222222">{short(value)}</text>')
    for g, group in enumerate(groups):
        out.append(f'<text x="{_LEFT + (g + 0.5) * group_width:.1f}" y="{_HEIGHT - _BOTTOM + 20}" '
                   f'text-anchor="middle" fill="#222222">{escape(group)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
