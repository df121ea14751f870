// SPDX-License-Identifier: MIT
// The frame of every function in this folder. `//` and `;` mean in assembly what they mean in C.
    .syntax unified;         .cpu cortex-m0plus;         .thumb;         .text

// Starts a function: keeps all registers of the caller.
.macro FUNCTION name
    .global \name;          .type \name, %function;    .thumb_func
\name:
    push    {r4-r7, lr}
    mov     r4, r8;  mov  r5, r9;  mov  r6, r10;  mov  r7, r11
    push    {r4-r7}
.endm

// Ends it: gives them back and returns.
.macro RETURN name
    pop     {r4-r7}
    mov     r8, r4;  mov  r9, r5;  mov  r10, r6;  mov  r11, r7
    pop     {r4-r7, pc}
    .size   \name, . - \name
.endm
