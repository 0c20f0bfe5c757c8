"""Plots as SVG, readable on a light and on a dark page: lines over axes that are linear or logarithmic."""

import math
from dataclasses import dataclass, field
from html import escape

# Of a middle brightness, so that they stand out from white and from black alike; told apart by the colour-blind.
COLOURS = ["#e07b39", "#3b8fd4", "#2ca58d", "#b565c9", "#c9a227"]
INK = "#7d838c"
WIDTH, HEIGHT = 380, 270  # of one panel
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 30, 44  # what is around its axes
LEGEND = 26


@dataclass
class Axis:
    """What is along one side; where its ends are not given, the points decide."""

    label: str
    log: bool = False
    low: float | None = None
    high: float | None = None

    def fit(self, values):
        """The same with both ends."""
        low = self.low if self.low is not None else min(values)
        high = self.high if self.high is not None else max(values)
        if self.log:
            return Axis(self.label, True, low / 1.15, high * 1.15)
        return Axis(self.label, False, min(low, 0), high * 1.05 or 1)

    def place(self, value):
        """From 0 to 1."""
        if self.log:
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self):
        return [tick for tick in (self.log_ticks() if self.log else self.linear_ticks()) if self.low <= tick <= self.high]

    def log_ticks(self):
        """Each power of ten, with 2 and 5 between where there are few, and fewer where there are many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        between = [1, 2, 5] if self.high / self.low < 300 else [1]
        return [digit * 10.0**power for power in range(first, last + 1) for digit in between]

    def linear_ticks(self):
        """Four to eight of them, a round number apart."""
        rough = (self.high - self.low) / 6
        power = 10 ** math.floor(math.log10(rough))
        step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
        return [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


@dataclass
class Line:
    """Points under a name. Lines of one name have one colour in all panels."""

    name: str
    points: list
    dashed: bool = False


@dataclass
class Panel:
    title: str
    x: Axis
    y: Axis
    lines: list = field(default_factory=list)


def short(value):
    """A number as short as can be: 0.5, 20, 3k, 10M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def grid(panel, right, bottom):
    """The axes with their ticks and labels."""
    width, height = right - LEFT, bottom - TOP
    for tick in panel.x.ticks():
        x = LEFT + width * panel.x.place(tick)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>' + text(x, bottom + 14, short(tick))
    for tick in panel.y.ticks():
        y = bottom - height * panel.y.place(tick)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>' + text(LEFT - 5, y + 3.5, short(tick), "end")
    yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>'
    yield text((LEFT + right) / 2, bottom + 31, panel.x.label)
    yield text(0, 0, panel.y.label, more=f' transform="translate(13 {(TOP + bottom) / 2:.1f}) rotate(-90)"')
    yield text((LEFT + right) / 2, 16, panel.title, more=' class="title"')


def curve(line, panel, colour, right, bottom):
    """The line and its points."""
    width, height = right - LEFT, bottom - TOP
    places = [(LEFT + width * panel.x.place(x), bottom - height * panel.y.place(y)) for x, y in line.points]
    dash = ' stroke-dasharray="4 3"' if line.dashed else ""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield f'<path class="line" stroke="{colour}"{dash} d="M{path}"/>'
    if not line.dashed:
        yield "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in places)


def drawn(panel, colours):
    points = [point for line in panel.lines for point in line.points]
    fitted = Panel(panel.title, panel.x.fit([x for x, _ in points]), panel.y.fit([y for _, y in points]))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    yield from grid(fitted, right, bottom)
    for line in panel.lines:
        yield from curve(line, fitted, colours[line.name], right, bottom)


def legend(colours, dashed, width):
    """One for all panels, in the middle above them."""
    lengths = [34 + 6.4 * len(name) for name in colours]
    x = (width - sum(lengths)) / 2
    for (name, colour), length in zip(colours.items(), lengths):
        dash = ' stroke-dasharray="4 3"' if name in dashed else ""
        yield f'<path class="line" stroke="{colour}"{dash} d="M{x:.1f} 14h18"/>' + text(x + 23, 18, name, "start")
        x += length


def svg(panels, columns=2):
    """All panels in one picture, with one legend. Colours go by the order in which names come."""
    names = dict.fromkeys(line.name for panel in panels for line in panel.lines)
    dashed = {line.name for panel in panels for line in panel.lines if line.dashed}
    solid = iter(COLOURS)
    colours = {name: INK if name in dashed else next(solid) for name in names}
    columns = min(columns, len(panels))
    width, height = WIDTH * columns, LEGEND + HEIGHT * math.ceil(len(panels) / columns)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    yield f"<style>text{{font:11px system-ui,sans-serif;fill:{INK}}}.title{{font-weight:600;font-size:12px}}"
    yield f".grid{{stroke:{INK};stroke-opacity:.22;fill:none}}.axis{{stroke:{INK};fill:none}}.line{{fill:none;stroke-width:2}}</style>"
    if len(names) > 1:
        yield from legend(colours, dashed, width)
    for number, panel in enumerate(panels):
        yield f'<g transform="translate({number % columns * WIDTH} {LEGEND + number // columns * HEIGHT})">'
        yield from drawn(panel, colours)
        yield "</g>"
    yield "</svg>"


def write(file, panels, columns=2):
    file.write_text("\n".join(svg(panels, columns)) + "\n")
