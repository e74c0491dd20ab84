// SPDX-License-Identifier: Apache-2.0
/*
 * The certificates of attest/roots/, taken in by the assembler as they are: what a reviewer
 * compares with the vendor's is what is trusted. Assembled from the top of the tree.
 */
#include "attest/lib/roots.h"

#define CERT(name, file)                                                                 \
    extern const uint8_t bawn_cert_##name[] __attribute__((visibility("hidden")));       \
    extern const uint8_t bawn_cert_##name##_end[] __attribute__((visibility("hidden"))); \
    __asm__(".pushsection .rodata\n"                                                     \
            ".balign 8\n"                                                                \
            ".globl bawn_cert_" #name "\n"                                               \
            ".hidden bawn_cert_" #name "\n"                                              \
            "bawn_cert_" #name ":\n"                                                     \
            ".incbin \"attest/roots/" file "\"\n"                                        \
            ".globl bawn_cert_" #name "_end\n"                                           \
            ".hidden bawn_cert_" #name "_end\n"                                          \
            "bawn_cert_" #name "_end:\n"                                                 \
            ".byte 0\n"                                                                  \
            ".popsection\n")

/* AMD: https://kdsintf.amd.com/{vcek,vlek}/v1/{Milan,Genoa,Turin}/cert_chain */
CERT(ark_milan, "ark-milan.der");
CERT(ark_genoa, "ark-genoa.der");
CERT(ark_turin, "ark-turin.der");
CERT(ask_milan, "ask-milan.der");
CERT(ask_genoa, "ask-genoa.der");
CERT(ask_turin, "ask-turin.der");
CERT(asvk_milan, "asvk-milan.der");
CERT(asvk_genoa, "asvk-genoa.der");
CERT(asvk_turin, "asvk-turin.der");
/* Intel:
 * https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer */
CERT(intel_sgx_root, "intel-sgx-root.der");

const struct builtin_cert builtin_certs[BUILTIN_CERTS] = {
    { bawn_cert_ark_milan, bawn_cert_ark_milan_end, true },
    { bawn_cert_ark_genoa, bawn_cert_ark_genoa_end, true },
    { bawn_cert_ark_turin, bawn_cert_ark_turin_end, true },
    { bawn_cert_intel_sgx_root, bawn_cert_intel_sgx_root_end, true },
    { bawn_cert_ask_milan, bawn_cert_ask_milan_end, false },
    { bawn_cert_ask_genoa, bawn_cert_ask_genoa_end, false },
    { bawn_cert_ask_turin, bawn_cert_ask_turin_end, false },
    { bawn_cert_asvk_milan, bawn_cert_asvk_milan_end, false },
    { bawn_cert_asvk_genoa, bawn_cert_asvk_genoa_end, false },
    { bawn_cert_asvk_turin, bawn_cert_asvk_turin_end, false },
};
