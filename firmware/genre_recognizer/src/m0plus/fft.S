// SPDX-License-Identifier: MIT
// The 1024-point complex FFT of CMSIS-DSP's arm_cfft_q15 for a Cortex-M0+, bit for bit, with the window in its first
// pass. The word of a point holds im * 65536 + re, so one addition adds both parts. m0plus.h tells why no sum can
// overflow, and how the points lie. In the passes:
//     r0-r5  values        r6  0x8000        r7  the butterfly's first point (pass 1: its row of the table)
//     r8, r9  cos, sin of the first twiddle    r10, r11  of the second    r12, lr  of the third
#include "m0plus.h"

#if MGR_M0PLUS
#include "function.h"

// t = (co + i si) * conj(...): t = co x + si y and y = co y - si x. Destroys x and u; co and si are high registers.
.macro ROTATE x, y, t, u, co, si
    mov     \t, \co
    muls    \t, \x, \t
    mov     \u, \si
    muls    \x, \u, \x
    muls    \u, \y, \u
    adds    \t, \t, \u
    mov     \u, \co
    muls    \y, \u, \y
    subs    \y, \y, \x
.endm

// im = the word of the upper halves of re and im. Destroys re.
.macro JOIN re, im
    asrs    \re, \re, #16
    lsrs    \im, \im, #16
    lsls    \im, \im, #16
    adds    \im, \im, \re
.endm

// Both parts of a word halved, rounded down; its lower half must be 0x8000 too high and ends 0x4000 too high.
.macro HALVE word
    asrs    \word, \word, #1
    bics    \word, \word, r6
.endm

// re = half of the lower part of word, word = half of its upper part, both rounded down.
.macro SPLIT_HALVES word, re
    lsls    \re, \word, #16
    asrs    \re, \re, #17
    adds    \word, \word, r6
    asrs    \word, \word, #17
.endm

// Calls the instruction `ldr` or `str` on value, offset bytes after r7. Destroys t, which may be the value of a load.
.macro AT instruction, value, offset, t
.if \offset <= 124
    \instruction \value, [r7, #\offset]
.else
.if \offset == 128 || \offset == 192
    movs    \t, #\offset
.elseif \offset == 256
    lsrs    \t, r6, #7
.elseif \offset == 512
    lsrs    \t, r6, #6
.elseif \offset == 1024
    lsrs    \t, r6, #5
.elseif \offset == 2048
    lsrs    \t, r6, #4
.elseif \offset == 768
    movs    \t, #3
    lsls    \t, \t, #8
.else
    movs    \t, #\offset / 1024
    lsls    \t, \t, #10
.endif
    \instruction \value, [r7, \t]
.endif
.endm

// Four points a, b, c, d: r2 = a + c, r0 = a - c, r4 = b + d, r1 = b - d. c is `stride` bytes after a, b twice that.
.macro SUMS stride
    ldr     r0, [r7]
    AT      ldr, r1, \stride, r1
    adds    r2, r0, r1
    subs    r0, r0, r1
    AT      ldr, r1, 2 * \stride, r1
    AT      ldr, r3, 3 * \stride, r3
    adds    r4, r1, r3
    subs    r1, r1, r3
    adds    r2, r2, r6
    HALVE   r2
    adds    r4, r4, r6
    HALVE   r4
.endm

// One radix-4 butterfly in place; r7 moves to the next.
.macro BUTTERFLY stride
    SUMS    \stride
    adds    r3, r2, r4
    HALVE   r3
    lsrs    r5, r6, #1
    subs    r3, r3, r5
    str     r3, [r7]
    subs    r2, r2, r4
    sxth    r3, r2
    subs    r2, r2, r3
    asrs    r2, r2, #16
    ROTATE  r3, r2, r4, r5, r10, r11
    JOIN    r4, r2
    AT      str, r2, 2 * \stride, r5
    SPLIT_HALVES r0, r2
    SPLIT_HALVES r1, r3
    adds    r4, r2, r1
    subs    r2, r2, r1
    subs    r5, r0, r3
    adds    r3, r0, r3
    ROTATE  r4, r5, r0, r1, r8, r9
    JOIN    r0, r5
    AT      str, r5, \stride, r1
    ROTATE  r2, r3, r0, r1, r12, lr
    JOIN    r0, r3
    AT      str, r3, 3 * \stride, r1
    adds    r7, r7, #4
.endm

// Twiddle r1 of a row of the table to two high registers. Destroys r1.
.macro TWIDDLE co, si
    asrs    r2, r1, #16
    mov     \si, r2
    sxth    r1, r1
    mov     \co, r1
.endm

// A pass: blocks of 4 * stride bytes, in each stride / 4 butterflies with the same twiddles.
.macro PASS stride
    ldr     r7, [sp, #0]
    ldr     r0, [sp, #4]
1:  ldr     r1, [r0, #4]
    TWIDDLE r8, r9
    ldr     r1, [r0, #8]
    TWIDDLE r10, r11
    ldr     r1, [r0, #12]
    TWIDDLE r12, lr
    adds    r0, r0, #32
    str     r0, [sp, #8]
    movs    r0, #\stride / 4
    lsls    r0, r0, #2
    adds    r0, r0, r7
    str     r0, [sp, #12]
2:  BUTTERFLY \stride
    BUTTERFLY \stride
    BUTTERFLY \stride
    BUTTERFLY \stride
    ldr     r0, [sp, #12]
    cmp     r0, r7
    beq     3f
    b       2b
3:  movs    r0, #\stride / 4
    lsls    r1, r0, #3
    lsls    r0, r0, #2
    adds    r0, r0, r1
    adds    r7, r7, r0
    ldr     r0, [sp, #8]
    ldr     r1, [sp, #16]
    cmp     r7, r1
    beq     4f
    b       1b
4:
.endm

// void m0plus_passes(uint32_t points[1024], const m0plus_row_t table[256]): passes 2 to 5, then as arm_cfft_q15.
    FUNCTION m0plus_passes
    sub     sp, sp, #20
    str     r0, [sp, #0]
    str     r1, [sp, #4]
    movs    r6, #128
    lsls    r6, r6, #8
    lsrs    r1, r6, #3
    adds    r1, r1, r0
    str     r1, [sp, #16]
    PASS    16
    PASS    64
    PASS    256
    ldr     r7, [sp, #0]
    lsrs    r0, r6, #5
    adds    r0, r0, r7
    mov     r12, r0
5:  SUMS    1024
    adds    r3, r2, r4
    eors    r3, r3, r6
    str     r3, [r7]
    subs    r2, r2, r4
    adds    r2, r2, r6
    eors    r2, r2, r6
    AT      str, r2, 2048, r5
    SPLIT_HALVES r1, r3
    lsls    r3, r3, #16
    subs    r1, r1, r3
    adds    r0, r0, r6
    HALVE   r0
    lsrs    r5, r6, #1
    adds    r0, r0, r5
    adds    r2, r0, r1
    eors    r2, r2, r6
    AT      str, r2, 1024, r5
    subs    r0, r0, r1
    eors    r0, r0, r6
    AT      str, r0, 3072, r5
    adds    r7, r7, #4
    cmp     r7, r12
    bne     5b
    add     sp, sp, #20
    RETURN  m0plus_passes

// r4 = re, r5 = im of the sum, r0 and r2 of the difference of two points of the windowed frame: the words r2 and r3 of
// the frame times the weights `first` and `second` of the row r7, shifted down by r6.
.macro WINDOW first, second
    ldrh    r4, [r7, #\first]
    ldrh    r5, [r7, #\first + 2]
    sxth    r0, r2
    asrs    r2, r2, #16
    muls    r0, r4, r0
    muls    r2, r5, r2
    asrs    r0, r0, r6
    asrs    r2, r2, r6
    ldrh    r4, [r7, #\second]
    ldrh    r5, [r7, #\second + 2]
    sxth    r1, r3
    asrs    r3, r3, #16
    muls    r1, r4, r1
    muls    r3, r5, r3
    asrs    r1, r1, r6
    asrs    r3, r3, r6
    adds    r4, r0, r1
    subs    r0, r0, r1
    adds    r5, r2, r3
    subs    r2, r2, r3
.endm

// As ROTATE, for the twiddle that lies `offset` bytes into the row r7. Destroys x, co, si and t. y = im, t = re.
.macro ROTATE_ROW x, y, co, si, t, offset
    ldr     \si, [r7, #\offset]
    sxth    \co, \si
    asrs    \si, \si, #16
    mov     \t, \x
    muls    \t, \co, \t
    muls    \x, \si, \x
    muls    \si, \y, \si
    muls    \y, \co, \y
    adds    \t, \t, \si
    subs    \y, \y, \x
.endm

// void m0plus_first_pass(const int16_t frame[2048], uint32_t points[1024], const m0plus_row_t table[256], int shift):
// the frame times the window, >> shift, and pass 1. r8 frame, r12 points - table / 2, sp: shift, end of the table.
    FUNCTION m0plus_first_pass
    sub     sp, sp, #12
    mov     r8, r0
    mov     r12, r1
    mov     r7, r2
    str     r3, [sp, #0]
    movs    r4, #32
    lsls    r4, r4, #8
    adds    r4, r4, r7
    str     r4, [sp, #4]
1:  ldr     r6, [sp, #0]
    ldr     r0, [r7]
    add     r0, r0, r8
    movs    r3, #8
    lsls    r3, r3, #8
    ldr     r2, [r0]
    ldr     r3, [r0, r3]
    WINDOW  16, 24
    mov     r9, r0
    mov     r10, r2
    mov     r11, r4
    mov     lr, r5
    ldr     r0, [r7]
    add     r0, r0, r8
    movs    r3, #4
    lsls    r3, r3, #8
    adds    r0, r0, r3
    lsls    r3, r3, #1
    ldr     r2, [r0]
    ldr     r3, [r0, r3]
    WINDOW  20, 28
    mov     r1, r11             // the first sum: r1, lr; the second: r4, r5
    asrs    r6, r1, #1
    subs    r1, r1, r4
    asrs    r4, r4, #1
    adds    r6, r6, r4
    mov     r3, lr
    asrs    r4, r3, #1
    subs    r3, r3, r5
    asrs    r5, r5, #1
    adds    r4, r4, r5
    lsls    r4, r4, #16
    adds    r4, r4, r6
    mov     r6, r12
    str     r4, [r6, #0]
    mov     r11, r2
    ROTATE_ROW r1, r3, r4, r5, r2, 8
    JOIN    r2, r3
    str     r3, [r6, #8]
    mov     r1, r11             // the differences: r9, r10 and r0, r1
    mov     r2, r9
    mov     r3, r10
    adds    r4, r2, r1
    subs    r2, r2, r1
    subs    r5, r3, r0
    adds    r3, r3, r0
    mov     r11, r2
    ROTATE_ROW r4, r5, r0, r1, r2, 4
    JOIN    r2, r5
    str     r5, [r6, #4]
    mov     r2, r11
    ROTATE_ROW r2, r3, r0, r1, r4, 12
    JOIN    r4, r3
    str     r3, [r6, #12]
    adds    r6, r6, #16
    mov     r12, r6
    adds    r7, r7, #32
    ldr     r0, [sp, #4]
    cmp     r0, r7
    beq     2f
    b       1b
2:  add     sp, sp, #12
    RETURN  m0plus_first_pass
#endif
