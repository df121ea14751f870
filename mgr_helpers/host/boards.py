"""The boards that the sketches are for. No library is loaded here: the command line offers these names.

Names and menus of arduino-cli are those of the arduino-pico core 5.x and 6.x and of SparkFun's Apollo3 core 2.x. The
choices are -O2 and 125 MHz, as for the figures of the README; the Pico 2 keeps its 150 MHz.

Notebooks: 08.
"""

from dataclasses import dataclass

INDEXES = {  # for the boards manager
    "rp2040:rp2040":
        "https://github.com/earlephilhower/arduino-pico/releases/download/global/package_rp2040_index.json",
    "SparkFun:apollo3":
        "https://raw.githubusercontent.com/sparkfun/Arduino_Apollo3/main/package_sparkfun_apollo3_index.json",
}


@dataclass(frozen=True)
class Board:
    """A board that the sketches are for."""

    name: str
    fqbn: str  # arduino-cli's name of the board, with choices of its menus
    chip: str | None = None  # of a board that takes UF2 files

    @property
    def core(self) -> str:
        """The Arduino core that knows the board."""
        return ":".join(self.fqbn.split(":")[:2])


BOARDS = {
    "pico": Board("Raspberry Pi Pico", "rp2040:rp2040:rpipico:freq=125,opt=Optimize2", "RP2040"),
    "picow": Board("Raspberry Pi Pico W", "rp2040:rp2040:rpipicow:freq=125,opt=Optimize2", "RP2040"),
    "pico2": Board("Raspberry Pi Pico 2", "rp2040:rp2040:rpipico2:freq=150,opt=Optimize2", "RP2350"),
    "pico2w": Board("Raspberry Pi Pico 2 W", "rp2040:rp2040:rpipico2w:freq=150,opt=Optimize2", "RP2350"),
    "artemis": Board("SparkFun RedBoard Artemis Nano", "SparkFun:apollo3:sfe_artemis_nano"),
}
