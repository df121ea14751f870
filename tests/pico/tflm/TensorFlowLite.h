// SPDX-License-Identifier: MIT - stand-in for the header by which Arduino finds TensorFlow Lite Micro
#pragma once
