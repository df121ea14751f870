// SPDX-License-Identifier: MIT
// ADC counts to Q0.15 for a Cortex-M0+, eight at a time: convert_counts() in recognizer.c tells how.
#include "m0plus.h"

#if MGR_M0PLUS
#include "function.h"

// uint32_t m0plus_copy(void *to, const void *from, int n): copies n / 8 times eight counts; returns their sum. r3-r6
// counts, r7 sum, r12 end.
    FUNCTION m0plus_copy
    lsrs    r2, r2, #3;      lsls  r2, r2, #4
    adds    r2, r2, r0;      mov   r12, r2
    movs    r7, #0;          b     2f
1:  ldm     r1!, {r3-r6};    stm   r0!, {r3-r6}
    adds    r3, r3, r4;      adds  r5, r5, r6;  adds  r3, r3, r5
    uxth    r4, r3;          lsrs  r3, r3, #16;  adds  r7, r7, r4;  adds  r7, r7, r3
2:  cmp     r0, r12;         bne   1b
    mov     r0, r7
    RETURN  m0plus_copy

// int16_t *m0plus_convert(int16_t *step, int16_t *end, const uint32_t constants[3], uint32_t *seen): converts counts
// until some among eight may saturate; returns where these are, or the end.
//     r0 step   r1-r4 counts   r6 seen   r8 steps, r9 rest, r10 too_high: the constants   r11 end   r12 where seen goes
    FUNCTION m0plus_convert
    mov     r11, r1;         mov   r12, r3
    ldm     r2!, {r4-r6};    mov   r8, r4;      mov   r9, r5;      mov   r10, r6
    ldr     r6, [r3]
1:  ldm     r0!, {r1-r4};    subs  r0, r0, #16
    add     r1, r1, r8;      add   r2, r2, r8;  add   r3, r3, r8;  add   r4, r4, r8
    mov     r5, r1;          orrs  r5, r5, r2;  orrs  r5, r5, r3;  orrs  r5, r5, r4
    mov     r7, r10;         tst   r5, r7;      bne   2f
    mov     r7, r9
    .irp    word, r1, r2, r3, r4
    lsls    \word, \word, #16 - ADC_BITS;       eors  \word, \word, r7
    lsls    r5, \word, #1;   eors  r5, r5, \word;  orrs  r6, r6, r5
    .endr
    stm     r0!, {r1-r4};    cmp   r0, r11;     bne   1b
2:  mov     r1, r12;         str   r6, [r1]
    RETURN  m0plus_convert
#endif
