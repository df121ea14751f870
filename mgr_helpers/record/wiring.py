"""The wiring of microphone and button: a circuit by schemdraw, and the same on a breadboard by matplotlib.

Notebooks: 01.
"""

import matplotlib.pyplot as plt

# (net, colour, from, to): a hole of the breadboard is a column and a row
WIRES = (("3V3 (36)", "#D55E00", (5, "b"), (26, "b")), ("VDD to GAIN", "#D55E00", (26, "c"), (27, "c")),
         ("AGND (33)", "#000000", (8, "a"), (25, "a")), ("GP26 (31)", "#0072B2", (10, "b"), (28, "a")),
         ("GND (13)", "#000000", (13, "i"), (23, "i")), ("GP10 (14)", "#009E73", (14, "j"), (21, "j")))
MICROPHONE = ("GND", "VDD", "GAIN", "OUT", "A/R")  # its pins, in row e from column 25 on
COLUMNS = 30
ROWS = {name: 13 - index - 2 * (name > "e") for index, name in enumerate("abcdefghij")}  # e and f: 3 pitches apart


def draw_wiring():
    """Pico, MAX9814 breakout and push button: a schemdraw.Drawing, which a notebook shows and `.save(path)` keeps."""
    try:
        import schemdraw
        from schemdraw import elements as elm
    except ImportError as error:
        raise ImportError("the drawing needs the package schemdraw: pip install schemdraw") from error
    with schemdraw.Drawing(show=False, fontsize=10, inches_per_unit=0.4, canvas="svg", margin=0.5) as drawing:
        pico = elm.Ic(pins=_pins(elm, "right", "3V3 (36)", "GP26 (31)", "AGND (33)")
                      + _pins(elm, "left", "GP10 (14)", "", "GND (13)"), size=(6.5, 4.2))
        pico.label("Raspberry Pi Pico", loc="top")
        microphone = elm.Ic(pins=_pins(elm, "left", "VDD", "OUT", "GND") + _pins(elm, "right", "GAIN", "A/R", ""),
                            size=(4, 4.2)).at((11, 0)).label("MAX9814 microphone", loc="bottom")
        for pin, other, color in (("3V3", "VDD", "#D55E00"), ("GP26", "OUT", "#0072B2"), ("AGND", "GND", "#000000")):
            elm.Line().at(getattr(pico, pin)).to(getattr(microphone, other)).color(color).linewidth(2)
        _gain_to_supply(elm, microphone)
        elm.Line().at(pico.GP10).left(1.5)
        elm.Button().down().toy(pico.GND).label("push\nbutton", loc="top", ofst=0.3)
        elm.Line().tox(pico.GND)
    return drawing


def _gain_to_supply(elm, microphone) -> None:
    """A wire from GAIN over the module to VDD: it sets 40 dB."""
    elm.Line().at(microphone.GAIN).right(0.5).color("#D55E00").linewidth(2)
    elm.Line().up(1.6).color("#D55E00").linewidth(2)
    elm.Line().left().tox(microphone.VDD.x - 1).color("#D55E00").linewidth(2)
    elm.Line().down().toy(microphone.VDD).color("#D55E00").linewidth(2).dot()


def _pins(elm, side: str, *names: str) -> list:
    """Three pins on one side, from top to bottom (schemdraw counts from the bottom); "" leaves one out."""
    return [elm.IcPin(name=name, side=side, slot=f"{slot}/3", anchorname=name.split()[0])
            for name, slot in zip(names, (3, 2, 1)) if name]


def draw_breadboard():
    """The circuit of `draw_wiring` on a half-size breadboard, seen from above: matplotlib axes."""
    ax = plt.subplots(figsize=(10, 4.6))[1]
    ax.add_patch(plt.Rectangle((0.2, 1.2), COLUMNS + 0.6, 12.6, color="#F1EFE8"))
    for name, y in ROWS.items():
        ax.plot(range(1, COLUMNS + 1), [y] * COLUMNS, "o", ms=3, color="#BBBBBB")
        ax.text(0, y, name, ha="right", va="center", fontsize=8, color="#777777")
    _draw_part(ax, 0.6, ROWS["h"] - 0.4, 19.8, 7.8, "#3B7A57", "Raspberry Pi Pico")
    _draw_part(ax, -0.6, 7, 2, 2, "#BFBFBF", "USB")
    _draw_part(ax, 24.6, 2, 4.8, ROWS["e"] - 1.6, "#7A4B9A", "MAX9814")
    _draw_part(ax, 20.6, ROWS["f"] - 0.4, 2.8, 3.8, "#444444", "button")
    for column, name in enumerate(MICROPHONE, 25):
        ax.text(column, ROWS["e"] - 0.7, name, ha="center", va="top", fontsize=7, rotation=90, color="white")
    for name, color, (x, row), (to_x, to_row) in WIRES:
        ax.plot([x, to_x], [ROWS[row], ROWS[to_row]], "o-", ms=5, lw=2.5, color=color, solid_capstyle="round")
        ax.annotate(name, (x, ROWS[row]), (x, 14.4 if row < "f" else 0.5), fontsize=8, color=color,
                    ha="left" if "GP" in name else "right",
                    arrowprops={"arrowstyle": "-", "color": color, "lw": 0.5})
    ax.set(xlim=(-1.5, COLUMNS + 1), ylim=(0, 15.2), aspect="equal")
    ax.axis("off")
    return ax


def _draw_part(ax, x: float, y: float, width: float, height: float, color: str, name: str) -> None:
    ax.add_patch(plt.Rectangle((x, y), width, height, color=color, alpha=0.92))
    ax.text(x + width / 2, y + height / 2, name, ha="center", va="center", color="white", fontsize=9)
