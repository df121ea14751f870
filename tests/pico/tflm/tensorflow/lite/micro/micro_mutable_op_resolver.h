// SPDX-License-Identifier: MIT - stand-in for the part of TFLM's header that lstm_tflm.cpp needs
#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };

extern "C" {
// What TFLM does when its function of this name is called with these bytes. Returns a TfLiteStatus.
extern int (*tflm_call)(const char *name, const void *bytes, int count);
}

namespace tflite {
struct MicroOpResolver {};

template <unsigned N> struct MicroMutableOpResolver : MicroOpResolver {
    TfLiteStatus AddUnidirectionalSequenceLSTM() { return add("AddUnidirectionalSequenceLSTM"); }
    TfLiteStatus AddMean() { return add("AddMean"); }
    TfLiteStatus AddStridedSlice() { return add("AddStridedSlice"); }
    TfLiteStatus AddFullyConnected() { return add("AddFullyConnected"); }
    TfLiteStatus AddSoftmax() { return add("AddSoftmax"); }

private:
    TfLiteStatus add(const char *name) { return static_cast<TfLiteStatus>(tflm_call(name, nullptr, n++ < N ? 0 : -1)); }
    unsigned n = 0;
};
}
