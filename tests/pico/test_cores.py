"""The firmware's C on other cores: a Cortex-M4 (Artemis) and a Cortex-M33 (Pico 2), emulated by Unicorn.

Both have the DSP extension, for which CMSIS-DSP has a second path with other roundings. The features must not change.
"""

import os

import numpy as np
import pytest
from test_m0plus import both_compilers, hard_frames

from mgr_helpers.config import CONFIG
from mgr_helpers.host import host_c, toolchain
from mgr_helpers.pico.image import FLASH_START, RAM_START, build_image

unicorn = pytest.importorskip("unicorn", reason="no unicorn, which emulates these cores")
arm = pytest.importorskip("unicorn.arm_const")

MODELS = {"cortex-m4": arm.UC_CPU_ARM_CORTEX_M4, "cortex-m33": arm.UC_CPU_ARM_CORTEX_M33}
CALL = 0xD0000184  # EMULATOR_CALL in emulator.h
READ, WRITE, EXIT = range(3)
both_cores = pytest.mark.parametrize("core", MODELS)


def run(image: dict, core: str, data: bytes) -> bytes:
    """What an image writes that reads `data`."""
    machine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    machine.ctl_set_cpu_model(MODELS[core])
    for start, length in ((FLASH_START, 2 << 20), (RAM_START, 512 << 10), (CALL & ~0xFFF, 4096)):
        machine.mem_map(start, length)
    contents, written, place = image["bin"].read_bytes(), bytearray(), 0
    machine.mem_write(FLASH_START, contents)

    def called(machine, access, address, size, request, _):
        nonlocal place
        operation, at, count = np.frombuffer(machine.mem_read(request, 12), "<u4").tolist()
        if operation == READ:
            part = data[place : place + count]
            place += len(part)
            machine.mem_write(at, part)
            machine.mem_write(request, len(part).to_bytes(4, "little"))
        elif operation == WRITE:
            written.extend(machine.mem_read(at, count))
        else:
            assert operation == EXIT and at == 0 and count == 0
            machine.emu_stop()

    machine.hook_add(unicorn.UC_HOOK_MEM_WRITE, called, begin=CALL, end=CALL + 3)
    stack, start = np.frombuffer(contents[0x100:0x108], "<u4").tolist()
    machine.reg_write(arm.UC_ARM_REG_SP, stack)
    machine.emu_start(start, 0)
    return bytes(written)


@both_cores
@both_compilers
def test_hard_frames(core, compiler):
    """2,000 frames, of which half lie across two hard frames: not one feature or score differs from the host's C."""
    words = [*toolchain.find_compiler(compiler, core).command, "-dM", "-E", "-x", "c", os.devnull]
    assert "__ARM_FEATURE_DSP 1" in toolchain.call(words, "asking for macros", "")
    windows = hard_frames(1050).reshape(100, CONFIG.window_length)
    image = build_image(toolchain.EMULATOR / "pico_batch.c", compiler, core=core)
    assert image["warnings"] == ""
    rows = np.frombuffer(run(image, core, windows.tobytes()), np.int8).reshape(len(windows), -1)
    library = host_c.host_library()
    features = library.features(windows)
    expected = np.concatenate([features.reshape(len(windows), -1), library.scores(features)], axis=1)
    assert np.array_equal(rows, expected), f"windows {np.flatnonzero((rows != expected).any(axis=1))} differ"
    assert len(np.unique(features)) > 200 and len(np.unique(expected[:, features[0].size :])) > 100
