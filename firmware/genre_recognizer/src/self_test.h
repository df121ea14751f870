// SPDX-License-Identifier: MIT
// The self-test: a second of the synthetic mini set, and what Python computed from it.
#ifndef SELF_TEST_H
#define SELF_TEST_H

#include <stdbool.h>

#include "recognizer.h"

#ifdef __cplusplus
extern "C" {
#endif

// True when features and scores have the bits that Python computed. It uses the memory of `recognizer`: call
// recognizer_init() after it.
bool recognizer_self_test(recognizer_t *recognizer);

#ifdef __cplusplus
}
#endif
#endif
