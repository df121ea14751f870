// SPDX-License-Identifier: MIT
// The test vector: a second of the synthetic mini set, and what Python computed from it.
#ifndef SELF_TEST_H
#define SELF_TEST_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// True when features and scores equal Python's, bit for bit. Call it before recognizer_init().
bool self_test(void);

#ifdef __cplusplus
}
#endif
#endif
