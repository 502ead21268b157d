# SPDX-License-Identifier: Apache-2.0
"""Curves as an SVG: one small picture each, both axes logarithmic. The grey line is growth in
proportion; what lies below it grows less."""
import math

WIDTH, HEIGHT, COLUMNS = 250, 170, 3
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 34, 24


def text(x, y, words, size=10, anchor="start", colour="#333"):
    words = words.replace("&", "&amp;").replace("<", "&lt;")
    return ('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s">%s</text>'
            % (x, y, size, anchor, colour, words))


def line(points, colour, width, dash=""):
    return ('<polyline fill="none" stroke="%s" stroke-width="%g" stroke-dasharray="%s" points="%s"/>'
            % (colour, width, dash, " ".join("%.1f,%.1f" % point for point in points)))


def short(value):
    return "%.3g" % value if value < 10000 else "%.3gk" % (value / 1000)


class Picture:
    """One series in its place on the sheet."""

    def __init__(self, index, points):
        self.x0 = index % COLUMNS * WIDTH + LEFT
        self.y0 = index // COLUMNS * HEIGHT + TOP
        self.width, self.height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        self.xs = sorted(points)
        self.points = points
        values = [max(value, 1e-9) for value in points.values()]
        low = min(values)
        high = max(max(values), low * self.at(self.xs[-1]) / self.at(self.xs[0]))
        self.range_x = (math.log(self.at(self.xs[0])), math.log(self.at(self.xs[-1]) * 1.0001))
        self.range_y = (math.log(low / 1.3), math.log(high * 1.3))

    @staticmethod
    def at(x):
        return x if x > 0 else 1

    def place(self, x, value):
        def share(number, bounds):
            return (math.log(number) - bounds[0]) / (bounds[1] - bounds[0])
        return (self.x0 + share(self.at(x), self.range_x) * self.width,
                self.y0 + self.height - share(max(value, 1e-9), self.range_y) * self.height)

    def draw(self, name, unit):
        group, _, what = name.partition(": ")
        first = self.points[self.xs[0]]
        steady = [(x, max(first, 1e-9) * self.at(x) / self.at(self.xs[0])) for x in self.xs]
        places = [self.place(x, self.points[x]) for x in self.xs]
        parts = [text(self.x0 - LEFT + 8, self.y0 - 20, what, 10),
                 text(self.x0 - LEFT + 8, self.y0 - 8, "%s, with %s" % (unit, group), 9,
                      colour="#777"),
                 '<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#ddd"/>'
                 % (self.x0, self.y0, self.width, self.height),
                 line([self.place(*point) for point in steady], "#bbb", 1, "3 3"),
                 line(places, "#0a6", 2)]
        for x, (px, py) in zip(self.xs, places):
            parts.append('<circle cx="%.1f" cy="%.1f" r="2.5" fill="#0a6"/>' % (px, py))
            parts.append(text(px, self.y0 + self.height + 13, short(x), 9, "middle"))
        for x in (self.xs[0], self.xs[-1]):
            parts.append(text(self.x0 - 4, self.place(x, self.points[x])[1] + 3,
                              short(self.points[x]), 9, "end"))
        return parts


def draw(series):
    """`series`: {(name, unit): {x: value}}."""
    parts = []
    for index, ((name, unit), points) in enumerate(series.items()):
        parts += Picture(index, points).draw(name, unit)
    rows = (len(series) + COLUMNS - 1) // COLUMNS
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">\n'
            '<rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n'
            % (COLUMNS * WIDTH, rows * HEIGHT, "\n".join(parts)))
