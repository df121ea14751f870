// SPDX-License-Identifier: MIT - stand-in for the part of TFLM's header that lstm_tflm.cpp needs
#pragma once
namespace tflite {
struct Model;
const Model *GetModel(const void *content);
}
