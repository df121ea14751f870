"""The wiring of microphone and button: a circuit by schemdraw, and the same on a breadboard by matplotlib.

Notebooks: 01.
"""

import matplotlib.pyplot as plt

# (net, colour, from, to): a hole of the breadboard is a column and a row
WIRES = (("3V3 (36)", "#D55E00", (5, "b"), (26, "b")), ("VDD to GAIN", "#D55E00", (26, "d"), (27, "d")),
         ("AGND (33)", "#000000", (8, "a"), (25, "a")), ("GP26 (31)", "#0072B2", (10, "b"), (28, "c")),
         ("GND (13)", "#000000", (13, "i"), (23, "i")), ("GP10 (14)", "#009E73", (14, "j"), (21, "j")))
MICROPHONE = ("GND", "VDD", "GAIN", "OUT", "A/R")  # its pins, in row e from column 25 on
COLUMNS = 30
ROWS = {name: 13 - index - 2 * (name > "e") for index, name in enumerate("abcdefghij")}  # e and f: 3 pitches apart

RED, BLUE, BLACK, GREEN, PURPLE = "#D55E00", "#0072B2", "#000000", "#009E73", "#CC79A7"
# (pin of the board, pin of the microphone, colour), from top to bottom; the pins on the microphone's other side
CIRCUITS = {
    "MAX9814": ((("3V3 (36)", "VDD", RED), ("GP26 (31)", "OUT", BLUE), ("AGND (33)", "GND", BLACK)), ("GAIN", "A/R", "")),
    "I2S": ((("3V3 (36)", "VDD", RED), ("GP20 (26)", "SD", BLUE), ("GP19 (25)", "WS", PURPLE),
             ("GP18 (24)", "SCK", GREEN), ("GND (23)", "GND", BLACK)), ("", "", "", "", "L/R")),
    "PDM": ((), ()),
}


def draw_wiring(microphone: str = "MAX9814"):
    """Board, microphone and push button: a schemdraw.Drawing, which a notebook shows and `.save(path)` keeps.

    Parameters
    ----------
    microphone : "MAX9814", "I2S" or "PDM"
        Those of a sketch's config.h. I2S is an INMP441, ICS-43434 or SPH0645 on a Pico, whose pins are also called DOUT
        (SD), LRCL (WS), BCLK (SCK) and SEL (L/R). PDM is the microphone on a RedBoard Artemis Nano.
    """
    try:
        import schemdraw
        from schemdraw import elements as elm
    except ImportError as error:
        raise ImportError("the drawing needs the package schemdraw: pip install schemdraw") from error
    wires, others = CIRCUITS[microphone]
    board, button, ground = ("RedBoard Artemis Nano", "D10", "GND") if microphone == "PDM" else (
        "Raspberry Pi Pico", "GP10 (14)", "GND (13)")
    with schemdraw.Drawing(show=False, fontsize=10, inches_per_unit=0.4, canvas="svg", margin=0.5) as drawing:
        size = 4.2 * max(3, len(wires)) / 3
        gap = [""] * (len(wires) - 3)
        pico = elm.Ic(pins=_pins(elm, "right", *(pin for pin, _, _ in wires))
                      + _pins(elm, "left", button, "", *gap, ground, anchor="button "), size=(6.5, size))
        pico.label(board, loc="top")
        if wires:
            part = elm.Ic(pins=_pins(elm, "left", *(pin for _, pin, _ in wires)) + _pins(elm, "right", *others),
                          size=(4, size)).at((11, 0)).label(f"{microphone} microphone", loc="bottom")
        for pin, other, color in wires:
            elm.Line().at(pico.absanchors[pin.split()[0]]).to(part.absanchors[other]).color(color).linewidth(2)
        if microphone == "MAX9814":
            _gain_to_supply(elm, part)
        elif microphone == "I2S":
            _channel_to_ground(elm, part)
        elm.Line().at(pico.absanchors["button " + button]).left(1.5)
        elm.Button().down().toy(pico.absanchors["button " + ground]).label("push\nbutton", loc="top", ofst=0.3)
        elm.Line().tox(pico.absanchors["button " + ground])
    return drawing


def _gain_to_supply(elm, microphone) -> None:
    """A wire from GAIN over the module to VDD: it sets 40 dB."""
    elm.Line().at(microphone.GAIN).right(0.5).color("#D55E00").linewidth(2)
    elm.Line().up(1.6).color("#D55E00").linewidth(2)
    elm.Line().left().tox(microphone.VDD.x - 1).color("#D55E00").linewidth(2)
    elm.Line().down().toy(microphone.VDD).color("#D55E00").linewidth(2).dot()


def _channel_to_ground(elm, microphone) -> None:
    """A wire from L/R under the module to GND: it chooses the left channel."""
    elm.Line().at(microphone.absanchors["L/R"]).right(0.5).linewidth(2)
    elm.Line().down(1.8).linewidth(2)
    elm.Line().left().tox(microphone.absanchors["GND"][0] - 1).linewidth(2)
    elm.Line().up().toy(microphone.absanchors["GND"]).linewidth(2).dot()


def _pins(elm, side: str, *names: str, anchor: str = "") -> list:
    """Pins on one side, from top to bottom (schemdraw counts from the bottom); "" leaves one out."""
    return [elm.IcPin(name=name, side=side, slot=f"{len(names) - i}/{len(names)}",
                      anchorname=anchor + name if anchor else name.split()[0]) for i, name in enumerate(names) if name]


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
        ax.plot([x, to_x], [ROWS[row], ROWS[to_row]], "o", ms=5, color=color)
        ax.annotate("", (to_x, ROWS[to_row]), (x, ROWS[row]), arrowprops=dict(  # curved: it touches no other wire's end
            arrowstyle="-", connectionstyle="arc3,rad=-0.08", color=color, lw=2.5, shrinkA=0, shrinkB=0))
        ax.annotate(name, (x, ROWS[row]), (x, 14.4 if row < "f" else 0.5), fontsize=8, color=color,
                    ha="left" if "GP" in name else "right", arrowprops=dict(arrowstyle="-", color=color, lw=0.5))
    ax.set(xlim=(-1.5, COLUMNS + 1), ylim=(0, 15.2), aspect="equal")
    ax.axis("off")
    return ax


def _draw_part(ax, x: float, y: float, width: float, height: float, color: str, name: str) -> None:
    ax.add_patch(plt.Rectangle((x, y), width, height, color=color, alpha=0.92))
    ax.text(x + width / 2, y + height / 2, name, ha="center", va="center", color="white", fontsize=9)
