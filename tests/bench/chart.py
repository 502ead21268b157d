# SPDX-License-Identifier: Apache-2.0
"""A chart of all figures that have a target, as SVG: each by its target, on a logarithmic scale."""
import math

from targets import TARGETS, cost, value_of

ROW, TOP, LEFT, WIDTH, RIGHT = 20, 62, 230, 450, 140
LOW, HIGH = 0.04, 100  # of the target
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.small { font-size: 11px; fill: #57606a }
.line { stroke: #d0d7de } .aim { stroke: #24292f; stroke-width: 1.5 }
.good { fill: #1a7f37 } .bad { fill: #bc4c00 } .limit { stroke: #57606a; stroke-width: 2 }
.other { fill: none; stroke: #8250df; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .line { stroke: #3d444d } .aim { stroke: #e6edf3 }
.good { fill: #3fb950 } .bad { fill: #f0883e } .limit { stroke: #9198a1 } .other { stroke: #bc8cff }
}
"""


def place(ratio):
    """On the scale; what is past its ends stands at the end."""
    part = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + WIDTH * part


def number(value):
    return "{:,.0f}".format(value) if value >= 1000 else "%.3g" % value


def text(x, y, words, kind="", anchor="start"):
    return '<text x="%.0f" y="%.0f" class="%s" text-anchor="%s">%s</text>' % (
        x, y, kind, anchor, words.replace("&", "&amp;").replace("<", "&lt;"))


def upright(x, top, bottom, kind):
    return '<line x1="%.1f" y1="%.0f" x2="%.1f" y2="%.0f" class="%s"/>' % (x, top, x, bottom, kind)


def legend():
    """What the marks mean, in the first line."""
    return [
        '<circle cx="16" cy="16" r="5" class="good"/>', text(26, 20, "reached"),
        '<circle cx="92" cy="16" r="5" class="bad"/>', text(102, 20, "not yet"),
        upright(168, 10, 22, "limit"), text(176, 20, "what the machine could do"),
        '<circle cx="356" cy="16" r="4.5" class="other"/>', text(366, 20, "best other product"),
        text(LEFT + WIDTH + RIGHT - 4, 20, "left is better; figure of target", "small", "end")]


def scale(bottom):
    parts = []
    for ratio in (0.1, 1, 10, 100):
        kind = "aim" if ratio == 1 else "line"
        parts.append(upright(place(ratio), TOP - 10, bottom, kind))
        words = "target" if ratio == 1 else "%g x" % ratio
        parts.append(text(place(ratio), TOP - 16, words, "small", "middle"))
    return parts


def line(target, value, y):
    parts = [text(LEFT - 10, y + 4, target.words, "", "end")]
    ratio = cost(target, value)
    if target.limit:
        parts.append(upright(place(cost(target, target.limit)), y - 6, y + 6, "limit"))
    if target.other:
        parts.append('<circle cx="%.1f" cy="%d" r="4.5" class="other"/>'
                     % (place(cost(target, target.other)), y))
    parts.append('<circle cx="%.1f" cy="%d" r="5" class="%s"><title>%s: %s, target %s</title>'
                 '</circle>' % (place(ratio), y, "good" if ratio <= 1 else "bad", target.words,
                                number(value), number(target.aim)))
    parts.append(text(LEFT + WIDTH + 8, y + 4, "%s of %s" % (number(value), number(target.aim)),
                      "small"))
    return parts


def draw(rows, path):
    measured = [(target, value_of(target, rows)) for target in TARGETS]
    measured = [(target, value) for target, value in measured if value]
    bottom = TOP + ROW * len(measured)
    parts = legend() + scale(bottom)
    for index, (target, value) in enumerate(measured):
        parts += line(target, value, TOP + ROW * index + ROW // 2)
    with open(path, "w", encoding="utf-8") as file:
        file.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img"'
                   ' aria-label="Figures by their targets">\n<style>%s</style>\n%s\n</svg>\n'
                   % (LEFT + WIDTH + RIGHT, bottom + 10, STYLE, "\n".join(parts)))
