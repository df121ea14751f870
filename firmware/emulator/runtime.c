/* SPDX-License-Identifier: MIT
   The few functions of the C library that the images call, so that they build without a libc. */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")  // else gcc turns the loop in memset() into a call of memset()
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static int both_aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & 3u) == 0;
}

void *memcpy(void *to, const void *from, size_t count)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (both_aligned(d, s)) {
        for (; count >= 4; count -= 4, d += 4, s += 4) {
            *(uint32_t *)d = *(const uint32_t *)s;
        }
    }
    while (count--) {
        *d++ = *s++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (d <= s || d >= s + count) {
        return memcpy(to, from, count);
    }
    while (count--) {
        d[count] = s[count];
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    uint8_t *d = to;
    uint32_t word = (uint8_t)value * 0x01010101u;
    for (; count && ((uintptr_t)d & 3u); count--) {
        *d++ = (uint8_t)value;
    }
    for (; count >= 4; count -= 4, d += 4) {
        *(uint32_t *)d = word;
    }
    while (count--) {
        *d++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t count)
{
    const uint8_t *l = left, *r = right;
    for (; count; count--, l++, r++) {
        if (*l != *r) {
            return *l - *r;
        }
    }
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    return length;
}

int strcmp(const char *left, const char *right)
{
    while (*left && *left == *right) {
        left++, right++;
    }
    return (uint8_t)*left - (uint8_t)*right;
}

int strncmp(const char *left, const char *right, size_t count)
{
    while (count && *left && *left == *right) {
        left++, right++, count--;
    }
    return count ? (uint8_t)*left - (uint8_t)*right : 0;
}

/* Names of memcpy, memset and memmove in the ARM ABI: compilers call these. */
void __aeabi_memcpy(void *to, const void *from, size_t count) { memcpy(to, from, count); }
void __aeabi_memcpy4(void *to, const void *from, size_t count) { memcpy(to, from, count); }
void __aeabi_memcpy8(void *to, const void *from, size_t count) { memcpy(to, from, count); }
void __aeabi_memmove(void *to, const void *from, size_t count) { memmove(to, from, count); }
void __aeabi_memmove4(void *to, const void *from, size_t count) { memmove(to, from, count); }
void __aeabi_memset(void *to, size_t count, int value) { memset(to, value, count); }
void __aeabi_memset4(void *to, size_t count, int value) { memset(to, value, count); }
void __aeabi_memclr(void *to, size_t count) { memset(to, 0, count); }
void __aeabi_memclr4(void *to, size_t count) { memset(to, 0, count); }
void __aeabi_memclr8(void *to, size_t count) { memset(to, 0, count); }
