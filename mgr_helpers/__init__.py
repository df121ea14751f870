"""Helpers of the notebook series *Music genre recognition on the Raspberry Pi Pico*.

Each folder is a wing: `audio`, `features`, `record`, `model`, `pico`, and `host` for this computer. `config` holds every
constant of the pipeline. CONTRIBUTING.md explains the layout.
"""

__version__ = "0.1.0"
