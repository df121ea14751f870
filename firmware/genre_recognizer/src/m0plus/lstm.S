// SPDX-License-Identifier: MIT
// The products of an LSTM unit's four gates for a Cortex-M0+, of four weights a word: m0plus.h tells how they lie.
//     r0 the next words of weights   r1 the next values   r2-r5 two words, two values   r6 a product   r7 its layer
//     r8-r11 sums of value * (word >> 0, 8, 16, 24)       r12 end of the values         lr  where sums go
#include "m0plus.h"

#if MGR_M0PLUS
    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .text

// Adds the products of a word and its value to the four sums. Destroys the word.
.macro WORD word, value
    asrs    r6, \word, #24
    muls    r6, \value, r6
    add     r11, r11, r6
    asrs    r6, \word, #16
    muls    r6, \value, r6
    add     r10, r10, r6
    asrs    r6, \word, #8
    muls    r6, \value, r6
    add     r9, r9, r6
    muls    \word, \value, \word
    add     r8, r8, \word
.endm

// WORD for the next two words.
.macro TWO_WORDS
    ldm     r0!, {r2, r3}
    ldm     r1!, {r4, r5}
    WORD    r2, r4
    WORD    r3, r5
.endm

// The four sums of \layer[part] values to lr.
.macro DOT part
    movs    r2, #0
    mov     r8, r2
    mov     r9, r2
    mov     r10, r2
    mov     r11, r2
    ldrb    r2, [r7, #\part]
    lsls    r3, r2, #2
    adds    r3, r3, r1
    mov     r12, r3
    lsls    r2, r2, #30         // first the n mod 4 values
    beq     2f
1:  ldm     r0!, {r3}
    ldm     r1!, {r4}
    WORD    r3, r4
    movs    r3, #1
    lsls    r3, r3, #30
    subs    r2, r2, r3
    bne     1b
2:  cmp     r1, r12
    beq     4f
3:  TWO_WORDS
    TWO_WORDS
    cmp     r1, r12
    bne     3b
4:  mov     r2, r8              // sums of one gate alone: each less 256 times the next
    mov     r3, r9
    mov     r4, r10
    mov     r5, r11
    lsls    r6, r3, #8
    subs    r2, r2, r6
    lsls    r6, r4, #8
    subs    r3, r3, r6
    lsls    r6, r5, #8
    subs    r4, r4, r6
    mov     r6, lr
    stm     r6!, {r2-r5}
    mov     lr, r6
.endm

// void m0plus_dot(const int8_t *weights, const int32_t *values, const uint8_t n[2], int32_t sums[8]): for n[0] values,
// then for the next n[1].
    .global m0plus_dot
    .type   m0plus_dot, %function
    .thumb_func
m0plus_dot:
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4-r7}
    mov     r7, r2
    mov     lr, r3
    DOT     0
    DOT     1
    pop     {r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}
    .size   m0plus_dot, . - m0plus_dot
#endif
