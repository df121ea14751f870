"""Helpers of the notebook series *Music genre recognition on the Raspberry Pi Pico*.

One module per notebook; `config` holds every constant of the pipeline.
"""

__version__ = "0.1.0"
