// SPDX-License-Identifier: MIT
// The 1024-point complex FFT of CMSIS-DSP's arm_cfft_q15 for a Cortex-M0+, bit for bit, with the window in its first
// pass. The word of a point holds im * 65536 + re, so one addition adds both parts. m0plus.h tells why no sum can
// overflow, and where the points lie. Registers of passes 2 to 5:
//     r0-r5  values    r6  0x8000    r7  the butterfly's first point
//     r8, r9  cos, sin of the first twiddle    r10, r11  of the second    r12, lr  of the third
#include "m0plus.h"

#if MGR_M0PLUS
#include "function.h"

// t = co x + si y and y = co y - si x; co and si are high registers. Destroys x and u.
.macro ROTATE x, y, t, u, co, si
    mov     \t, \co;         muls  \t, \x, \t
    mov     \u, \si;         muls  \x, \u, \x
    muls    \u, \y, \u;      adds  \t, \t, \u
    mov     \u, \co;         muls  \y, \u, \y;        subs  \y, \y, \x
.endm

// The same for the first twiddle of all: co is 32767 and si is 0.
.macro ROTATE_BY_0 x, y, t, u, co, si
    lsls    \t, \x, #15;     subs  \t, \t, \x
    lsls    \u, \y, #15;     subs  \y, \u, \y
.endm

// im = the word of the upper halves of re and im. Destroys re.
.macro JOIN re, im
    asrs    \re, \re, #16
    lsrs    \im, \im, #16;   lsls  \im, \im, #16;      adds  \im, \im, \re
.endm

// Both parts of a word halved, rounded down; its lower half must be 0x8000 too high and ends 0x4000 too high.
.macro HALVE word
    asrs    \word, \word, #1;  bics  \word, \word, r6
.endm

// re = half of the lower part of word, word = half of its upper part, both rounded down.
.macro SPLIT_HALVES word, re
    lsls    \re, \word, #16;     asrs  \re, \re, #17
    adds    \word, \word, r6;    asrs  \word, \word, #17
.endm

// Loads or stores value at r7 + offset. Destroys t, which may be the value of a load.
.macro AT instruction, value, offset, t
.if \offset <= 124
    \instruction \value, [r7, #\offset]
.else
.if \offset < 256
    movs    \t, #\offset
.elseif \offset % 768 == 0
    movs    \t, #\offset / 256;     lsls  \t, \t, #8
.else                                           // a power of 2 up to 2048: 0x8000 shifted
    lsrs    \t, r6, #7 - \offset / 512 + \offset / 2048
.endif
    \instruction \value, [r7, \t]
.endif
.endm

// Of points a, b, c, d, stride bytes between a and c, c and b, b and d: r0 = a - c, r1 = b - d; halved as HALVE does:
// r2 = a + c, r4 = b + d.
.macro SUMS stride
    ldr     r0, [r7]
    AT      ldr, r1, \stride, r1
    adds    r2, r0, r1;      subs  r0, r0, r1
    AT      ldr, r1, 2 * \stride, r1
    AT      ldr, r3, 3 * \stride, r3
    adds    r4, r1, r3;      subs  r1, r1, r3
    adds    r2, r2, r6;      adds  r4, r4, r6
    HALVE   r2
    HALVE   r4
.endm

// One radix-4 butterfly in place; r7 moves to the next.
.macro BUTTERFLY stride, rotate
    SUMS    \stride
    adds    r3, r2, r4                          // a' = (a + b + c + d) / 4
    HALVE   r3
    lsrs    r5, r6, #1;      subs  r3, r3, r5;           str   r3, [r7]
    subs    r2, r2, r4;      sxth  r3, r2       // b' = (a + c - b - d) / 2, turned; x = r3, y = r2
    subs    r2, r2, r3;      asrs  r2, r2, #16
    \rotate r3, r2, r4, r5, r10, r11
    JOIN    r4, r2
    AT      str, r2, 2 * \stride, r5
    SPLIT_HALVES r0, r2
    SPLIT_HALVES r1, r3
    adds    r4, r2, r1;      subs  r2, r2, r1   // (r4, r5) = (a - c - i (b - d)) / 2
    subs    r5, r0, r3;      adds  r3, r0, r3   // (r2, r3) = (a - c + i (b - d)) / 2
    \rotate r4, r5, r0, r1, r8, r9              // c'
    JOIN    r0, r5
    AT      str, r5, \stride, r1
    \rotate r2, r3, r0, r1, r12, lr             // d'
    JOIN    r0, r3
    AT      str, r3, 3 * \stride, r1
    adds    r7, r7, #4
.endm

// The butterflies of a block, which have the same twiddles; then r7 moves to the next block.
.macro BLOCK stride, rotate
    movs    r0, #\stride / 4;    lsls  r0, r0, #2;       adds  r0, r0, r7;   str   r0, [sp, #4]
2:  .rept   4
    BUTTERFLY \stride, \rotate
    .endr
    ldr     r0, [sp, #4];        cmp   r0, r7
    beq     3f;              b     2b
3:  movs    r0, #\stride / 4 * 3;  lsls  r0, r0, #2;     adds  r7, r7, r0
.endm

// Twiddle number i of the row r0 of the table to two high registers.
.macro TWIDDLE i, co, si
    ldr     r1, [r0, #4 * \i]
    asrs    r2, r1, #16;     mov   \si, r2;     sxth  r1, r1;  mov  \co, r1
.endm

// A pass. sp: row of the table, end of the block, then points, table, end of the points.
.macro PASS stride
    ldr     r7, [sp, #8]
    ldr     r0, [sp, #12];   str   r0, [sp, #0]
    BLOCK   \stride, ROTATE_BY_0
1:  ldr     r0, [sp, #0];    adds  r0, r0, #32;  str  r0, [sp, #0]
    TWIDDLE 1, r8, r9
    TWIDDLE 2, r10, r11
    TWIDDLE 3, r12, lr
    BLOCK   \stride, ROTATE
    ldr     r1, [sp, #16];   cmp   r7, r1
    beq     4f;              b     1b
4:
.endm

// void m0plus_passes(uint32_t points[1024], const m0plus_row_t table[256]): passes 2 to 5. The points end in order, and
// as arm_cfft_q15 leaves them: im in the upper half, re in the lower.
    FUNCTION m0plus_passes
    movs    r6, #128;        lsls  r6, r6, #8
    lsrs    r2, r6, #3;      adds  r2, r2, r0
    push    {r0-r2};         sub   sp, sp, #8
    PASS    16
    PASS    64
    PASS    256
    ldr     r7, [sp, #8];    lsrs  r0, r6, #5;      adds  r0, r0, r7;  mov  r12, r0
5:  SUMS    1024                                // the last pass turns nothing
    adds    r3, r2, r4;      eors  r3, r3, r6;  str   r3, [r7]
    subs    r2, r2, r4;      adds  r2, r2, r6;  eors  r2, r2, r6
    AT      str, r2, 2048, r5
    SPLIT_HALVES r1, r3
    lsls    r3, r3, #16;     subs  r1, r1, r3   // -i (b - d) / 2
    adds    r0, r0, r6
    HALVE   r0
    lsrs    r5, r6, #1;      adds  r0, r0, r5
    adds    r2, r0, r1;      eors  r2, r2, r6
    AT      str, r2, 1024, r5
    subs    r0, r0, r1;      eors  r0, r0, r6
    AT      str, r0, 3072, r5
    adds    r7, r7, #4;      cmp   r7, r12;     bne   5b
    add     sp, sp, #20
    RETURN  m0plus_passes

// Registers of the first pass:
//     r0-r5  values    r6  shift, then place of the points    r7  row of the table
//     r8  frame    r9-r11, lr  values    r12  place of the points    sp: shift, end of the table

// Words r2 and r3 of the frame times the weights of two points in the row, shifted down by r6: (r4, r5) = their sum,
// (r0, r2) = their difference.
.macro WINDOW first, second
    sxth    r0, r2;               asrs  r2, r2, #16
    ldrh    r4, [r7, #\first];    ldrh  r5, [r7, #\first + 2]
    muls    r0, r4, r0;           muls  r2, r5, r2;         asrs  r0, r0, r6;  asrs  r2, r2, r6
    sxth    r1, r3;               asrs  r3, r3, #16
    ldrh    r4, [r7, #\second];   ldrh  r5, [r7, #\second + 2]
    muls    r1, r4, r1;           muls  r3, r5, r3;         asrs  r1, r1, r6;  asrs  r3, r3, r6
    adds    r4, r0, r1;           subs  r0, r0, r1;         adds  r5, r2, r3;  subs  r2, r2, r3
.endm

// As ROTATE, for twiddle number i of the row. Destroys x, co and si.
.macro ROTATE_ROW x, y, t, co, si, i
    ldr     \si, [r7, #4 * \i];   sxth  \co, \si;           asrs  \si, \si, #16
    mov     \t, \x;               muls  \t, \co, \t
    muls    \x, \si, \x;          muls  \si, \y, \si;       muls  \y, \co, \y
    adds    \t, \t, \si;          subs  \y, \y, \x
.endm

// void m0plus_first_pass(const int16_t frame[2048], uint32_t points[1024], const m0plus_row_t table[256], int shift):
// pass 1 of the frame times the window, >> shift.
    FUNCTION m0plus_first_pass
    movs    r4, #32;         lsls  r4, r4, #8;  adds  r4, r4, r2;  push  {r3-r5}
    mov     r8, r0;          mov   r12, r1;     mov   r7, r2
1:  ldr     r6, [sp, #0];    ldr   r0, [r7];     add  r0, r0, r8
    movs    r3, #8;          lsls  r3, r3, #8
    ldr     r2, [r0];        ldr   r3, [r0, r3]
    WINDOW  16, 24                              // a and c
    mov     r9, r0;          mov   r10, r2;     mov   r11, r4;  mov   lr, r5
    ldr     r0, [r7];        add   r0, r0, r8
    movs    r3, #4;          lsls  r3, r3, #8;  adds  r0, r0, r3;  lsls  r3, r3, #1
    ldr     r2, [r0];        ldr   r3, [r0, r3]
    WINDOW  20, 28                              // b and d
    mov     r1, r11;         asrs  r6, r1, #1
    subs    r1, r1, r4;      asrs  r4, r4, #1;  adds  r6, r6, r4    // (r1, r3) = a + c - b - d
    mov     r3, lr;          asrs  r4, r3, #1
    subs    r3, r3, r5;      asrs  r5, r5, #1;  adds  r4, r4, r5
    lsls    r4, r4, #16;     adds  r4, r4, r6   // a'
    mov     r6, r12;         stm   r6!, {r4};   mov   r11, r2
    ROTATE_ROW r1, r3, r2, r4, r5, 2
    JOIN    r2, r3
    str     r3, [r6, #4];    mov   r1, r11      // b'
    mov     r2, r9;          mov   r3, r10
    adds    r4, r2, r1;      subs  r2, r2, r1   // (r4, r5) = a - c - i (b - d)
    subs    r5, r3, r0;      adds  r3, r3, r0;  mov   r11, r2       // (r2, r3) = a - c + i (b - d)
    ROTATE_ROW r4, r5, r2, r0, r1, 1
    JOIN    r2, r5
    str     r5, [r6, #0];    mov   r2, r11      // c'
    ROTATE_ROW r2, r3, r4, r0, r1, 3
    JOIN    r4, r3
    str     r3, [r6, #8]                        // d'
    adds    r6, r6, #12;     mov   r12, r6;     adds  r7, r7, #32
    ldr     r0, [sp, #4];    cmp   r0, r7
    beq     2f;              b     1b
2:  add     sp, sp, #12
    RETURN  m0plus_first_pass
#endif
