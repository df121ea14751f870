"""The wiring of microphone and button, drawn by schemdraw.

Notebooks: 01.
"""


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
                            size=(4, 4.2)).at((11, 0)).label("MAX9814 microphone", loc="top")
        for pin, other, color in (("3V3", "VDD", "#D55E00"), ("GP26", "OUT", "#0072B2"), ("AGND", "GND", "#000000")):
            elm.Line().at(getattr(pico, pin)).to(getattr(microphone, other)).color(color).linewidth(2)
        elm.Line().at(pico.GP10).left(1.5)
        elm.Button().down().toy(pico.GND).label("push\nbutton", loc="top", ofst=0.3)
        elm.Line().tox(pico.GND)
    return drawing


def _pins(elm, side: str, *names: str) -> list:
    """Three pins on one side, from top to bottom (schemdraw counts from the bottom); "" leaves one out."""
    return [elm.IcPin(name=name, side=side, slot=f"{slot}/3", anchorname=name.split()[0])
            for name, slot in zip(names, (3, 2, 1)) if name]
