// SPDX-License-Identifier: MIT
// From the complex FFT to Mel sums for a Cortex-M0+: m0plus.h tells how.
#include "m0plus.h"

#if MGR_M0PLUS
#include "function.h"

// uint32_t m0plus_powers(uint32_t *low, uint32_t *end, size_t split, size_t mirror, uint32_t limit): for the points
// from low to end, and those at mirror - low, the bins of split_pair() in mfcc_q15.c, and re^2 + im^2 of them in place.
// Coefficients c, s lie at low + split. Returns what m0plus_louder() makes of limit.
//     r0 low   r1-r7 values   r8, r9 re, im of a   r10 limit   r11 end   r12 mirror   lr split     a = *low, b = *high
    FUNCTION m0plus_powers
    ldr     r4, [sp, #36];   mov   r10, r4;     mov   r11, r1
    push    {r2-r4}
    mov     lr, r2;          mov   r12, r3
1:  mov     r2, lr;          ldr   r3, [r0, r2]
    mov     r7, r12;         subs  r7, r7, r0
    ldr     r1, [r7];        sxth  r5, r1;      asrs  r6, r1, #16   // (r5, r6) = b
    ldr     r1, [r0];        sxth  r2, r1;      asrs  r4, r1, #16   // (r2, r4) = a
    mov     r8, r2;          mov   r9, r4
    subs    r2, r2, r5;      adds  r4, r4, r6                       // re of a - b, im of a + b
    uxth    r1, r3;          asrs  r3, r3, #16                      // c, s
    mov     r7, r2;          muls  r7, r1, r7;  muls  r2, r3, r2
    muls    r3, r4, r3;      muls  r4, r1, r4
    subs    r7, r7, r3;      adds  r4, r4, r2                       // both times c + i s: (r7, r4)
    lsls    r5, r5, #15;     adds  r5, r5, r7
    lsls    r6, r6, #15;     subs  r6, r4, r6                       // (r5, r6) = the low bin
    mov     r1, r8;          lsls  r1, r1, #15;  subs  r1, r1, r7
    mov     r2, r9;          lsls  r2, r2, #15;  subs  r4, r4, r2   // (r1, r4) = the high bin
    asrs    r5, r5, #16;     muls  r5, r5, r5
    asrs    r6, r6, #16;     muls  r6, r6, r6;  adds  r5, r5, r6    // powers: r5, r4
    asrs    r1, r1, #16;     muls  r1, r1, r1
    asrs    r4, r4, #16;     muls  r4, r4, r4;  adds  r4, r4, r1
    mov     r7, r12;         subs  r7, r7, r0
    cmp     r5, r10;         bhs   3f
    cmp     r4, r10;         bhs   3f
2:  str     r4, [r7];        stm   r0!, {r5}
    cmp     r0, r11;         bne   1b
    mov     r0, r10
    add     sp, sp, #12
    RETURN  m0plus_powers
3:  mov     r8, r0;          mov   r1, r7;      mov   r3, r10       // louder than any before?
    mov     r2, lr;          ldr   r2, [r0, r2]
    bl      m0plus_louder;   mov   r10, r0
    ldr     r0, [sp, #0];    mov   lr, r0
    ldr     r0, [sp, #4];    mov   r12, r0
    mov     r0, r8;          b     2b

// Registers of roots and Mel sums:
//     r0 powers   r1 weights   r2 power << shift   r3 y = r2 >> 2   r4 root of y   r5 free   r6 roots   r7 shift
//     r8 sum of root * weight   r9 sums   r10 sum of roots   r11 end of the segment   sp: segment, tables

// r4 = root of y, or one less, from the table's entry alone. y >> bits is in 64 to 1023, or bits is 0; y below 2^18.
.macro ENTRY bits
    lsrs    r4, r2, #\bits + 2;  lsls  r4, r4, #1
    ldrh    r4, [r6, r4];        lsrs  r4, r4, #11 - \bits / 2
.endm

// The same for a larger y from a chord between two entries.
.macro CHORD bits
    lsrs    r4, r2, #\bits + 2;  lsls  r4, r4, #1;     adds  r4, r4, r6
    ldrh    r5, [r4, #0];        ldrh  r4, [r4, #2];   subs  r4, r4, r5
    lsls    r3, r2, #30 - \bits; lsrs  r3, r3, #32 - \bits
    muls    r4, r3, r4;          lsrs  r4, r4, #\bits; adds  r4, r4, r5
    lsrs    r4, r4, #11 - \bits / 2;           lsrs  r3, r2, #2
.endm

// Adds the root and its product to the sums; the next bin.
.macro ADD_PRODUCT
    add     r10, r10, r4
    ldrb    r3, [r1];        adds  r1, r1, #1
    muls    r3, r4, r3;      add   r8, r8, r3
    cmp     r0, r11;         bne   2b
    b       9f
.endm

// ADD_PRODUCT, unless the root is one less (7) or y is a square (8).
.macro ADD_ROOT
    mov     r5, r4;          muls  r5, r5, r5
    subs    r3, r3, r5;      beq   8f
    lsls    r5, r4, #1;      cmp   r3, r5;      bhi   7f
    ADD_PRODUCT
.endm

// void m0plus_mel(const uint32_t *powers, const m0plus_mel_t *tables, int shift, uint32_t sums[]): roots of the powers
// << shift, as mfcc_root() of half of them; adds to each segment's sum, and to the one before.
    FUNCTION m0plus_mel
    mov     r7, r2;          mov   r9, r3
    ldr     r6, [r1, #4];    ldr   r2, [r1, #8]
    mov     r3, r1;          ldr   r1, [r1, #0]
    push    {r2-r4}
1:  movs    r2, #0;          mov   r8, r2;      mov   r10, r2
    ldr     r2, [sp, #0];    ldrb  r3, [r2]
    adds    r2, r2, #2;      str   r2, [sp, #0]
    lsls    r3, r3, #2;      beq   10f
    adds    r3, r3, r0;      mov   r11, r3
2:  ldm     r0!, {r2};       lsls  r2, r2, r7;  lsrs  r3, r2, #2
    lsrs    r4, r2, #16                         // by size: y below 2^10, 2^14, 2^18, 2^22, 2^26, or more
    bne     4f
    lsrs    r4, r2, #12;     bne   3f
    ENTRY   0
    ADD_ROOT
3:  ENTRY   4
    ADD_ROOT
4:  lsrs    r4, r2, #20;     bne   11f
    ENTRY   8
6:  ADD_ROOT
5:  ADD_PRODUCT
7:  adds    r4, r4, #1;      subs  r3, r3, r5;  subs  r3, r3, #1;  bne  5b
8:  lsls    r5, r2, #30;     bmi   5b           // bit 1 of r2 is 0: one less where the root's bit is set
    ldr     r5, [sp, #4];    ldr   r5, [r5, #12]
    lsrs    r3, r4, #5;      lsls  r3, r3, #2;   ldr   r5, [r5, r3]
    lsls    r3, r4, #27;     lsrs  r3, r3, #27;  lsrs  r5, r5, r3
    lsls    r5, r5, #31;     lsrs  r5, r5, #31;  subs  r4, r4, r5
    b       5b
9:  ldr     r2, [sp, #0]                        // the segment's end; its last root is r4
    subs    r2, r2, #1;      ldrb  r2, [r2];    muls  r4, r2, r4
    mov     r2, r10;         lsls  r2, r2, #8;  subs  r2, r2, r4
    mov     r3, r8;          subs  r2, r2, r3
    mov     r5, r9;          ldr   r4, [r5];    adds  r4, r4, r2;  stm   r5!, {r4}
    str     r3, [r5];        mov   r9, r5
    b       1b
10: add     sp, sp, #12
    RETURN  m0plus_mel
11: lsrs    r4, r2, #28;     bne   13f
    lsrs    r4, r2, #24;     bne   12f
    CHORD   12
    b       6b
12: CHORD   16
    b       6b
13: push    {r0-r2, r5}
    lsrs    r0, r2, #1;      bl    m0plus_large_root;  mov  r4, r0
    pop     {r0-r2, r5};     b     5b
#endif
