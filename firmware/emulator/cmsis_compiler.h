/* SPDX-License-Identifier: MIT
   The few compiler macros that CMSIS-DSP expects from CMSIS-Core, for GCC and Clang on any core. */
#pragma once
#include <stdint.h>

// CMSIS-DSP has a second path for cores with the DSP extension (Cortex-M4, M33) or with vectors (M55). It rounds in other
// places, so the features would differ from those of the training. All cores take the plain path.
#undef __ARM_FEATURE_DSP
#define ARM_MATH_AUTOVECTORIZE

#define __ASM __asm
#define __INLINE inline
#define __STATIC_INLINE static inline
#define __STATIC_FORCEINLINE __attribute__((always_inline)) static inline
#define __NO_RETURN __attribute__((noreturn))
#define __USED __attribute__((used))
#define __WEAK __attribute__((weak))
#define __PACKED __attribute__((packed))
#define __ALIGNED(bytes) __attribute__((aligned(bytes)))
#define __RESTRICT __restrict

__STATIC_FORCEINLINE uint8_t __CLZ(uint32_t value) { return value ? (uint8_t)__builtin_clz(value) : 32; }

__STATIC_FORCEINLINE int32_t __SSAT(int32_t value, uint32_t bits)
{
    const int32_t most = (int32_t)((1u << (bits - 1)) - 1);
    return value > most ? most : value < -most - 1 ? -most - 1 : value;
}

__STATIC_FORCEINLINE uint32_t __USAT(int32_t value, uint32_t bits)
{
    const uint32_t most = (1u << bits) - 1;
    return value < 0 ? 0 : (uint32_t)value > most ? most : (uint32_t)value;
}

__STATIC_FORCEINLINE uint32_t __ROR(uint32_t value, uint32_t bits)
{
    return (value >> (bits & 31)) | (value << (-bits & 31));
}
