// SPDX-License-Identifier: MIT - names that CMSIS-DSP's headers mention; no image calls them
#pragma once
float sqrtf(float), fabsf(float), sinf(float), cosf(float), expf(float), logf(float), powf(float, float);
double sqrt(double), fabs(double), exp(double), log(double), pow(double, double);
float roundf(float), floorf(float), ceilf(float), atan2f(float, float), tanhf(float), log2f(float);
