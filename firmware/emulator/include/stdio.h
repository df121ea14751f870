// SPDX-License-Identifier: MIT - the part of <stdio.h> that arduino.cpp provides
#pragma once
#include <stdarg.h>
#include <stddef.h>
#ifdef __cplusplus
extern "C"
#endif
int vsnprintf(char *to, size_t size, const char *format, va_list values);
