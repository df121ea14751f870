// SPDX-License-Identifier: MIT - stand-in for the part of TFLM's header that lstm_tflm.cpp needs
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <tensorflow/lite/micro/micro_mutable_op_resolver.h>

struct TfLiteTensor {
    union {
        int8_t *int8;
    } data;
    size_t bytes;
};

extern "C" {
extern int8_t tflm_input[], tflm_output[];
}

namespace tflite {
struct Model;

struct MicroInterpreter {
    MicroInterpreter(const Model *model, const MicroOpResolver &, uint8_t *arena, size_t arena_size)
    {
        tflm_call("MicroInterpreter", model, static_cast<int>(reinterpret_cast<uintptr_t>(arena) % 16 ? 0 : arena_size));
    }
    TfLiteStatus AllocateTensors() { return call("AllocateTensors"); }
    TfLiteStatus Reset() { return call("Reset"); }
    TfLiteStatus Invoke() { return call("Invoke"); }
    TfLiteTensor *input(size_t) { return &input_; }
    TfLiteTensor *output(size_t) { return &output_; }

private:
    TfLiteStatus call(const char *name) { return static_cast<TfLiteStatus>(tflm_call(name, nullptr, 0)); }
    TfLiteTensor input_ = {{tflm_input}, 0}, output_ = {{tflm_output}, 0};
};
}
