// SPDX-License-Identifier: MIT
// The gates of an LSTM layer for a Cortex-M0+, the products of four weights a word: m0plus.h tells how.
#include "m0plus.h"

#if MGR_M0PLUS
#include "function.h"

// Registers of the products:
//     r0 the next words of weights   r1 the next values   r2-r5 two words, two values   r6 a product   r7 n
//     r8-r11 sums of value * (word >> 0, 8, 16, 24)       r12 end of the values         lr  where sums go

// Adds the products of a word and its value to the four sums. Destroys the word.
.macro WORD word, value
    asrs    r6, \word, #24;  muls  r6, \value, r6;        add  r11, r11, r6
    asrs    r6, \word, #16;  muls  r6, \value, r6;        add  r10, r10, r6
    asrs    r6, \word, #8;   muls  r6, \value, r6;        add  r9, r9, r6
                             muls  \word, \value, \word;  add  r8, r8, \word
.endm

// The four sums of n[part] values to lr.
.macro DOT part
    movs    r2, #0
    mov     r8, r2;          mov   r9, r2;      mov   r10, r2;     mov   r11, r2
    ldrb    r2, [r7, #\part]
    lsls    r3, r2, #2;      adds  r3, r3, r1;  mov   r12, r3
    lsls    r2, r2, #30;     beq   2f           // first the n mod 4 values
1:  ldm     r0!, {r3};       ldm   r1!, {r4}
    WORD    r3, r4
    movs    r3, #1;          lsls  r3, r3, #30;  subs  r2, r2, r3
    bne     1b
2:  cmp     r1, r12;         beq   4f
3:  .rept   2
    ldm     r0!, {r2, r3};   ldm   r1!, {r4, r5}
    WORD    r2, r4
    WORD    r3, r5
    .endr
    cmp     r1, r12;         bne   3b
4:  mov     r2, r8;          mov   r3, r9;      mov   r4, r10;     mov   r5, r11
    lsls    r6, r3, #8;      subs  r2, r2, r6   // sums of one gate alone: each less 256 times the next
    lsls    r6, r4, #8;      subs  r3, r3, r6
    lsls    r6, r5, #8;      subs  r4, r4, r6
    mov     r6, lr;          stm   r6!, {r2-r5};  mov  lr, r6
.endm

// void m0plus_dot(const int8_t *weights, const int32_t *values, const uint8_t n[2], int32_t sums[n[1]][2][4]): for each
// unit the sums for n[0] values, and for the n[1] that follow.
    FUNCTION m0plus_dot
    mov     r7, r2;          mov   lr, r3
    ldrb    r2, [r7, #1];    push  {r1-r3}
5:  ldr     r1, [sp, #0]
    DOT     0
    DOT     1
    ldr     r2, [sp, #4];    subs  r2, r2, #1;  str   r2, [sp, #4]
    beq     6f;              b     5b
6:  add     sp, sp, #12
    RETURN  m0plus_dot

// Registers of the scaling:
//     r0 sum   r1 bias   r2-r4 values   r5, r6 lower and upper half of the multiplier   r7 shift down
//     r8 offset   r9 2^22 + 2^14   r10 half of 2^shift   lr end

// Jumps to limit if r3 has more than 16 bits. Destroys r2.
.macro CLAMP limit
    sxth    r2, r3;          cmp   r2, r3;      bne   \limit
.endm

// r3 = the largest or smallest number of 16 bits, by the sign of r3; back to where CLAMP was.
.macro LIMIT back
    asrs    r3, r3, #31;     ldr   r2, =0x7fff;  eors  r3, r3, r2;  b  \back
.endm

// All sums: rescale(sum + bias + offset) of lstm.c, limited to 16 bits; with add, the value 16 bytes further is added,
// and the result limited again.
.macro RESCALE add
1:  ldr     r2, [r0];        ldr   r3, [r1]
    adds    r2, r2, r3;      add   r2, r2, r8
    asrs    r4, r2, #16;     uxth  r2, r2
    mov     r3, r2;          muls  r3, r5, r3;  lsrs  r3, r3, #16
    muls    r2, r6, r2;      adds  r3, r3, r2
    mov     r2, r4;          muls  r2, r5, r2;  adds  r3, r3, r2
    add     r3, r3, r9;      lsrs  r3, r3, #15
    muls    r4, r6, r4;      lsls  r4, r4, #1
    adds    r3, r3, r4;      subs  r3, r3, #128
    asrs    r2, r3, #31;     adds  r3, r3, r2   // halves away from zero
    add     r3, r3, r10;     asrs  r3, r3, r7
    CLAMP   4f
2:
.if \add
    ldr     r2, [r0, #16];   adds  r3, r3, r2
    CLAMP   5f
.endif
3:  str     r3, [r0]
    adds    r0, r0, #32;     adds  r1, r1, #16
    cmp     r0, lr;          bne   1b
    b       6f
4:  LIMIT   2b
5:  LIMIT   3b
6:
.endm

// void m0plus_rescale(int32_t *sums, const int32_t *bias, int32_t offset, const scale_t *scale, int n, int add):
// RESCALE for n sums 32 bytes apart and biases 16 bytes apart; their total must stay below 2^22, the scale below 1/2.
    FUNCTION m0plus_rescale
    mov     r8, r2
    ldrh    r5, [r3, #0];    ldrh  r6, [r3, #2]
    ldrb    r7, [r3, #4];    negs  r7, r7;      uxtb  r7, r7
    ldr     r2, =0x404000;   mov   r9, r2
    movs    r2, #1;          lsls  r2, r2, r7;  lsrs  r2, r2, #1;  mov  r10, r2
    ldr     r2, [sp, #36];   lsls  r2, r2, #5;  adds  r2, r2, r0;  mov  lr, r2
    ldr     r2, [sp, #40];   cmp   r2, #0;      bne   7f
    RESCALE 0
    b       8f
7:  RESCALE 1
8:  RETURN  m0plus_rescale
    .pool
#endif
