// SPDX-License-Identifier: Apache-2.0
/*
 * See fault.h. The instructions are those that the shim executes and a host can intercept.
 */
#include <string.h>

#include "guest/shim/fault.h"

/* #VC error codes are VMEXIT codes (AMD APM vol. 2, 15.35.5 and appendix C). */
#define EXIT_NPF 0x400
#define EXIT_NOT_VALIDATED 0x404

static const struct insn {
    uint16_t exit;
    uint8_t len;
    uint8_t code[4];
} insns[] = {
    { 0x7c, 2, { 0x0f, 0x32 } },             /* RDMSR */
    { 0x7c, 2, { 0x0f, 0x30 } },             /* WRMSR */
    { 0x78, 1, { 0xf4 } },                   /* HLT */
    { 0x13, 2, { 0x0f, 0x22 } },             /* MOV to CR3 */
    { 0x79, 3, { 0x0f, 0x01, 0x3f } },       /* INVLPG (RDI) */
    { 0x6a, 2, { 0x0f, 0x01 } },             /* LIDT */
    { 0x6d, 3, { 0x0f, 0x00, 0xd8 } },       /* LTR AX */
    { 0x81, 4, { 0xf3, 0x0f, 0x01, 0xd9 } }, /* VMGEXIT, taken as VMMCALL */
};

enum bawn_shim_reason shim_fault_reason(uint64_t vector, uint64_t error, const uint8_t *code,
                                        size_t len)
{
    if (vector == SHIM_VECTOR_PF)
        return BAWN_SHIM_FAIL_PAGE_FAULT;
    if (vector != SHIM_VECTOR_VC)
        return BAWN_SHIM_FAIL_EXCEPTION;
    if (error == EXIT_NPF || error == EXIT_NOT_VALIDATED)
        return BAWN_SHIM_FAIL_VC_PAGE;
    for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
        if (error == insns[i].exit && len >= insns[i].len &&
            !memcmp(code, insns[i].code, insns[i].len))
            return BAWN_SHIM_FAIL_VC_INTERCEPT;
    return BAWN_SHIM_FAIL_VC_FORGED;
}
