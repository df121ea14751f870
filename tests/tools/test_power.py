"""The power page: its figures come from the measurement, and a lost sample or another decision is a failure."""

import pytest

from tools import power


def found(**changed) -> dict:
    part = {"minutes": 0.5, "samples_delivered": 1000, "samples_processed": 1000, "overruns": 0, "decisions": 3,
            "expected": 3, "equal": True, "clock_mhz": 125.0, "awake_share": 0.05, "latency_ms": 14.0}
    return {clock: {**part, "clock_mhz": float(clock), **changed} for clock in power.CLOCKS}


def test_page_has_the_measured_figures():
    text = power.page(found(awake_share=0.5), "mini", "gcc 12")
    assert "| 12 MHz | 50.0% | 6,000,000 | 14.0 ms | 0 of 1,000 | 3 of 3 |" in text
    assert "| 200 MHz (computed) | 31.2% | 62,500,000 | 8.8 ms |  |  |" in text
    assert "awake 50% of the time" in text and "at least 10 days (233 hours)" in text  # 2,000 mAh / 8.6 mA


@pytest.mark.parametrize("change, status", [({}, 0), ({"overruns": 1}, 1), ({"equal": False}, 1)])
def test_exit_status(change, status, tmp_path, monkeypatch):
    monkeypatch.setenv("MGR_BUILD", str(tmp_path))
    monkeypatch.setattr(power, "FILE", tmp_path / "power.md")
    monkeypatch.setattr(power, "measure", lambda *of: found(**change))
    monkeypatch.setattr(power.bench, "build_image", lambda *of: {"compiler": "gcc"})
    arguments = type("Arguments", (), {"audio": "mini", "minutes": 0.5, "compiler": None})
    assert power.run(arguments) == status and (tmp_path / "power.md").exists()
